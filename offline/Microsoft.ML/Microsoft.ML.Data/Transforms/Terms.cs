namespace Microsoft.ML.Data;

/// <summary>What is the same value, which values are missing ones, and how values are collected.</summary>
internal static class Terms
{
    /// <summary>The distinct values of a column of data, at most <paramref name="maximum"/> of them.</summary>
    public static T[] Collect<T>(IDataView data, DataViewSchema.Column column, int maximum, bool sort)
    {
        var isMissing = GetIsMissing<T>(column.Type.GetItemType());
        var values = new List<T>();
        var seen = new HashSet<T>(GetComparer<T>());
        foreach (var value in Items<T>(data, column))
        {
            if (values.Count == maximum)
                break;
            if (!isMissing(value) && seen.Add(value))
                values.Add(value is ReadOnlyMemory<char> text ? (T)(object)text.ToString().AsMemory() : value);
        }
        if (sort)
            values.Sort(GetOrder<T>());
        return [.. values];
    }

    public static IEqualityComparer<T> GetComparer<T>() =>
        typeof(T) == typeof(ReadOnlyMemory<char>) ? (IEqualityComparer<T>)(object)new TextComparer() : EqualityComparer<T>.Default;

    private static IComparer<T> GetOrder<T>() =>
        typeof(T) == typeof(ReadOnlyMemory<char>) ? (IComparer<T>)(object)new TextComparer() : Comparer<T>.Default;

    private static Func<T, bool> GetIsMissing<T>(DataViewType type)
    {
        if (type is KeyDataViewType)
            return value => EqualityComparer<T>.Default.Equals(value, default);
        return (Func<T, bool>)(Delegate)(default(T) switch
        {
            float => (Func<float, bool>)float.IsNaN,
            double => (Func<double, bool>)double.IsNaN,
            ReadOnlyMemory<char> => (ReadOnlyMemory<char> text) => text.IsEmpty,
            _ => (T value) => false,
        });
    }

    private static IEnumerable<T> Items<T>(IDataView data, DataViewSchema.Column column) => column.Type is VectorDataViewType
        ? data.GetColumn<VBuffer<T>>(column).SelectMany(vector => vector.DenseValues())
        : data.GetColumn<T>(column);

    private sealed class TextComparer : IEqualityComparer<ReadOnlyMemory<char>>, IComparer<ReadOnlyMemory<char>>
    {
        public bool Equals(ReadOnlyMemory<char> x, ReadOnlyMemory<char> y) => x.Span.SequenceEqual(y.Span);

        public int GetHashCode(ReadOnlyMemory<char> text) => string.GetHashCode(text.Span);

        public int Compare(ReadOnlyMemory<char> x, ReadOnlyMemory<char> y) => x.Span.SequenceCompareTo(y.Span);
    }
}
