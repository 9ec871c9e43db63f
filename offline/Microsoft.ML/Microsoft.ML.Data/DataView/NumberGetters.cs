using Microsoft.ML.Runtime;

namespace Microsoft.ML.Data;

/// <summary>Reads columns of several types as numbers of one.</summary>
internal static class NumberGetters
{
    public static ValueGetter<double> AsDouble(DataViewRow row, DataViewSchema.Column column) =>
        GenericCall.Invoke<ValueGetter<double>>(Convert<int, int>, [column.Type.RawType, typeof(double)], row, column);

    public static ValueGetter<ulong> AsKey(DataViewRow row, DataViewSchema.Column column) =>
        GenericCall.Invoke<ValueGetter<ulong>>(Convert<int, int>, [column.Type.RawType, typeof(ulong)], row, column);

    /// <summary>The label as a Single: false and true are 0 and 1, keys count from 0, and the missing key is NaN.</summary>
    public static ValueGetter<float> AsLabel(DataViewRow row, DataViewSchema.Column column)
    {
        var getter = GenericCall.Invoke<ValueGetter<float>>(Convert<int, int>, [column.Type.RawType, typeof(float)], row, column);
        return column.Type is not KeyDataViewType ? getter : (ref float label) =>
        {
            getter(ref label);
            label = label == 0 ? float.NaN : label - 1;
        };
    }

    private static ValueGetter<TResult> Convert<TSource, TResult>(DataViewRow row, DataViewSchema.Column column) =>
        (ValueGetter<TResult>)Getters.MapItems(row, column, Conversions.GetOrNull<TSource, TResult>());
}
