namespace Microsoft.ML.Data;

/// <summary>What is the same value, which values are missing ones, and how values are collected.</summary>
internal static class Terms
{
    /// <summary>The distinct values of columns of data, at most <paramref name="maximum"/> of each, in one pass over it.</summary>
    public static TermMap[] Collect(IDataView data, DataViewSchema.Column[] columns, int maximum, bool sort)
    {
        using var cursor = data.GetRowCursor(columns);
        var collectors = Array.ConvertAll(columns, column =>
            GenericCall.Invoke<Collector>(MakeCollector<int>, column.Type.GetItemType().RawType, cursor, column, maximum));
        while (cursor.MoveNext())
        {
            foreach (var collector in collectors)
                collector.Read();
        }
        return Array.ConvertAll(collectors, collector => collector.ToMap(sort));
    }

    private static Collector MakeCollector<T>(DataViewRow row, DataViewSchema.Column column, int maximum) => new Collector<T>(row, column, maximum);

    private abstract class Collector
    {
        /// <summary>Takes the values of the current row.</summary>
        public abstract void Read();

        public abstract TermMap ToMap(bool sort);
    }

    private sealed class Collector<T> : Collector
    {
        private readonly PrimitiveDataViewType _itemType;
        private readonly int _maximum;
        private readonly Func<T, bool> _isMissing;
        private readonly List<T> _values = [];
        private readonly HashSet<T> _seen = new(GetComparer<T>());
        private readonly Action _read;

        public Collector(DataViewRow row, DataViewSchema.Column column, int maximum)
        {
            (_itemType, _maximum) = ((PrimitiveDataViewType)column.Type.GetItemType(), maximum);
            _isMissing = GetIsMissing<T>(_itemType);
            if (column.Type is VectorDataViewType)
            {
                var getter = row.GetGetter<VBuffer<T>>(column);
                VBuffer<T> vector = default;
                _read = () =>
                {
                    getter(ref vector);
                    foreach (var value in vector.IsDense ? vector.GetValues() : vector.DenseValues().ToArray())
                        Add(value);
                };
            }
            else
            {
                var getter = row.GetGetter<T>(column);
                T value = default;
                _read = () =>
                {
                    getter(ref value);
                    Add(value);
                };
            }
        }

        public override void Read() => _read();

        private void Add(T value)
        {
            if (_values.Count < _maximum && !_isMissing(value) && _seen.Add(value))
                _values.Add(value is ReadOnlyMemory<char> text ? (T)(object)text.ToString().AsMemory() : value);
        }

        public override TermMap ToMap(bool sort)
        {
            if (sort)
                _values.Sort(GetOrder<T>());
            return new TermMap<T>(_itemType, [.. _values]);
        }
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

    private sealed class TextComparer : IEqualityComparer<ReadOnlyMemory<char>>, IComparer<ReadOnlyMemory<char>>
    {
        public bool Equals(ReadOnlyMemory<char> x, ReadOnlyMemory<char> y) => x.Span.SequenceEqual(y.Span);

        public int GetHashCode(ReadOnlyMemory<char> text) => string.GetHashCode(text.Span);

        public int Compare(ReadOnlyMemory<char> x, ReadOnlyMemory<char> y) => x.Span.SequenceCompareTo(y.Span);
    }
}
