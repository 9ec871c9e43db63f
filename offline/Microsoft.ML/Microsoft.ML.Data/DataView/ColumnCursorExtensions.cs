using Microsoft.ML.Runtime;

namespace Microsoft.ML.Data;

/// <summary>Reads columns.</summary>
public static class ColumnCursorExtensions
{
    /// <summary>
    /// The values of a column, read as the sequence is: as they are in the data, or text in strings and vectors in arrays.
    /// </summary>
    public static IEnumerable<T> GetColumn<T>(this IDataView data, string columnName)
    {
        Contracts.CheckValue(null, data, nameof(data));
        return data.GetColumn<T>(data.Schema.GetColumn(null, "input", columnName, nameof(columnName)));
    }

    public static IEnumerable<T> GetColumn<T>(this IDataView data, DataViewSchema.Column column)
    {
        Contracts.CheckValue(null, data, nameof(data));
        var codec = RowMember.GetCodecOrNull(typeof(T), column.Type.RawType) ?? throw Contracts.ExceptParam(null, nameof(column),
            $"Cannot map column '{column.Name}' (of type {column.Type}) to type '{typeof(T)}'");
        return GenericCall.Invoke<IEnumerable<T>>(Read<int, int>, [typeof(T), column.Type.RawType], data, column, codec);
    }

    private static IEnumerable<TResult> Read<TResult, TValue>(
        IDataView data, DataViewSchema.Column column, MemberCodec<TResult, TValue> codec)
    {
        using var cursor = data.GetRowCursor([column]);
        var getter = cursor.GetGetter<TValue>(column);
        TValue value = default;
        while (cursor.MoveNext())
        {
            getter(ref value);
            TResult result = default;
            codec.ToMember(value, ref result);
            yield return result;
        }
    }
}
