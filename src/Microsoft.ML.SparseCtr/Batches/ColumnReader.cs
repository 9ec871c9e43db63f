using Microsoft.ML.Data;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// Reads a column of the current row as an array, whatever its exact type: a scalar becomes an array of one, any key type becomes Int32,
/// a DateTime becomes Unix seconds. The array belongs to the caller.
/// </summary>
internal static class ColumnReader
{
    /// <summary>Stands for the value of a group column; only whether two are equal matters.</summary>
    public static Func<ulong> Group(DataViewRow row, DataViewSchema.Column column)
    {
        var numberOfText = new Dictionary<string, ulong>();
        Type raw = column.Type.RawType;
        Func<ulong[]> read = raw == typeof(uint) ? Values<uint, ulong>(row, column, value => value)
            : raw == typeof(ulong) ? Values<ulong, ulong>(row, column, value => value)
            : raw == typeof(ushort) ? Values<ushort, ulong>(row, column, value => value)
            : raw == typeof(byte) ? Values<byte, ulong>(row, column, value => value)
            : raw == typeof(long) ? Values<long, ulong>(row, column, value => (ulong)value)
            : raw == typeof(int) ? Values<int, ulong>(row, column, value => (ulong)value)
            : raw == typeof(short) ? Values<short, ulong>(row, column, value => (ulong)value)
            : raw == typeof(sbyte) ? Values<sbyte, ulong>(row, column, value => (ulong)value)
            : Values<ReadOnlyMemory<char>, ulong>(row, column, value => NumberOf(value.ToString()));
        return () => read()[0];

        ulong NumberOf(string text)
        {
            if (!numberOfText.TryGetValue(text, out ulong number))
                numberOfText.Add(text, number = (ulong)numberOfText.Count);
            return number;
        }
    }

    /// <summary>Keys as 0 (missing) to <paramref name="keyCount"/>; what lies beyond is missing too.</summary>
    public static Func<int[]> Keys(DataViewRow row, DataViewSchema.Column column, int keyCount)
    {
        Type raw = column.Type.ItemType().RawType;
        if (raw == typeof(uint))
            return Values<uint, int>(row, column, key => key <= keyCount ? (int)key : 0);
        if (raw == typeof(ulong))
            return Values<ulong, int>(row, column, key => key <= (ulong)keyCount ? (int)key : 0);
        if (raw == typeof(ushort))
            return Values<ushort, int>(row, column, key => key <= keyCount ? key : 0);
        return Values<byte, int>(row, column, key => key <= keyCount ? key : 0);
    }

    /// <summary>Unix seconds. A DateTime of unspecified kind is taken as UTC.</summary>
    public static Func<long[]> Timestamps(DataViewRow row, DataViewSchema.Column column)
        => column.Type.ItemType() == NumberDataViewType.Int64
            ? Values<long, long>(row, column, seconds => seconds)
            : Values<DateTime, long>(row, column, time => (long)Math.Floor(
                ((time.Kind == DateTimeKind.Local ? time.ToUniversalTime() : time) - DateTime.UnixEpoch).TotalSeconds));

    public static Func<float[]> Numbers(DataViewRow row, DataViewSchema.Column column)
        => Values<float, float>(row, column, value => value);

    /// <summary>0, 1 or, where it is missing, NaN.</summary>
    public static Func<float[]> Labels(DataViewRow row, DataViewSchema.Column column)
        => column.Type == BooleanDataViewType.Instance
            ? Values<bool, float>(row, column, label => label ? 1 : 0)
            : Values<float, float>(row, column, label => label is 0 or 1 || float.IsNaN(label)
                ? label
                : throw new InvalidOperationException($"Label column '{column.Name}' must be 0 or 1; row {row.Position} has {label}."));

    /// <summary>The item type of a vector, or the type itself.</summary>
    public static PrimitiveDataViewType ItemType(this DataViewType type)
        => type is VectorDataViewType vector ? vector.ItemType : (PrimitiveDataViewType)type;

    private static Func<TResult[]> Values<TRaw, TResult>(DataViewRow row, DataViewSchema.Column column, Func<TRaw, TResult> convert)
    {
        if (column.Type is not VectorDataViewType)
        {
            ValueGetter<TRaw> getter = row.GetGetter<TRaw>(column);
            TRaw value = default!;
            return () =>
            {
                getter(ref value);
                return [convert(value)];
            };
        }

        ValueGetter<VBuffer<TRaw>> vectorGetter = row.GetGetter<VBuffer<TRaw>>(column);
        VBuffer<TRaw> buffer = default;
        return () =>
        {
            vectorGetter(ref buffer);
            var result = new TResult[buffer.Length];
            if (!buffer.IsDense)
                Array.Fill(result, convert(default!));
            ReadOnlySpan<TRaw> values = buffer.GetValues();
            ReadOnlySpan<int> indices = buffer.GetIndices();
            for (int i = 0; i < values.Length; i++)
                result[buffer.IsDense ? i : indices[i]] = convert(values[i]);
            return result;
        };
    }
}
