using Microsoft.ML.Runtime;

namespace Microsoft.ML.Data;

/// <summary>Which rows are test rows. A split by the rows' order can be applied only to rows in that order.</summary>
internal sealed class RowSplit
{
    private const int DefaultRandomSeed = 42;

    private readonly DataViewSchema.Column[] _inputs;
    private readonly Func<DataViewRow, Func<bool>> _makeIsTest;
    private readonly bool _isByOrder;

    private RowSplit(DataViewSchema.Column[] inputs, Func<DataViewRow, Func<bool>> makeIsTest, bool isByOrder)
    {
        _inputs = inputs;
        _makeIsTest = makeIsTest;
        _isByOrder = isByOrder;
    }

    public static RowSplit Random(int? seed, double testFraction) => new([], row =>
    {
        var random = new Random(seed ?? DefaultRandomSeed);
        return () => random.NextDouble() < testFraction;
    }, isByOrder: true);

    /// <summary>A split by the hash of a column's values.</summary>
    public static RowSplit ByColumn(DataViewSchema.Column column, int? seed, double testFraction)
    {
        uint hashSeed = (uint?)seed ?? MurmurHash.DefaultSeed;
        return new RowSplit([column], row =>
        {
            var getHash = GenericCall.Invoke<Func<uint>>(MakeHash<int>, column.Type.GetItemType().RawType, row, column, hashSeed);
            return () => getHash() < testFraction * uint.MaxValue;
        }, isByOrder: false);
    }

    public IDataView Choose(IDataView data, bool isTest) => new FilteredDataView(data, _inputs, row =>
    {
        var isTestRow = _makeIsTest(row);
        return () => isTestRow() == isTest;
    }, _isByOrder);

    /// <summary>The hash of the value, or of all items of the vector together.</summary>
    private static Func<uint> MakeHash<T>(DataViewRow row, DataViewSchema.Column column, uint seed)
    {
        var hash = MurmurHash.GetOrNull<T>(column.Type.GetItemType());
        if (hash is null)
        {
            var toNumber = Conversions.GetOrNull<T, long>();
            hash = (hashSeed, value) => MurmurHash.GetOrNull<long>(NumberDataViewType.Int64)(hashSeed, toNumber(value));
        }
        if (column.Type is not VectorDataViewType)
        {
            var getScalar = row.GetGetter<T>(column);
            T scalar = default;
            return () =>
            {
                getScalar(ref scalar);
                return hash(seed, scalar) ?? 0;
            };
        }
        var getVector = row.GetGetter<VBuffer<T>>(column);
        VBuffer<T> vector = default;
        return () =>
        {
            getVector(ref vector);
            return vector.DenseValues().Aggregate(seed, (combined, item) => hash(combined, item) ?? combined);
        };
    }
}
