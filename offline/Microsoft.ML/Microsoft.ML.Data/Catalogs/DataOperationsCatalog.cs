using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML;

/// <summary>Makes data views, and data views of data views.</summary>
public sealed class DataOperationsCatalog : IInternalCatalog
{
    private readonly IHostEnvironment _env;

    internal DataOperationsCatalog(IHostEnvironment env) => _env = env;

    IHostEnvironment IInternalCatalog.Environment => _env;

    /// <summary>Objects as rows. The sequence is enumerated by each cursor: it must yield the same objects each time.</summary>
    public IDataView LoadFromEnumerable<TRow>(IEnumerable<TRow> data, SchemaDefinition schemaDefinition = null) where TRow : class
    {
        _env.CheckValue(data, nameof(data));
        return new EnumerableDataView<TRow>(data, schemaDefinition);
    }

    /// <summary>Objects as rows, with the annotations of the columns of <paramref name="schema"/>.</summary>
    public IDataView LoadFromEnumerable<TRow>(IEnumerable<TRow> data, DataViewSchema schema) where TRow : class =>
        LoadFromEnumerable(data, RowMember<TRow>.GetDefinition(schema));

    /// <summary>Rows as objects: new ones, or always the same one, filled anew.</summary>
    public IEnumerable<TRow> CreateEnumerable<TRow>(IDataView data, bool reuseRowObject, bool ignoreMissingColumns = false,
        SchemaDefinition schemaDefinition = null) where TRow : class, new()
    {
        _env.CheckValue(data, nameof(data));
        return Enumerate(data, reuseRowObject, new RowWriter<TRow>(data.Schema, ignoreMissingColumns, schemaDefinition));
    }

    /// <summary>The data, each column of which is read once and then kept in memory.</summary>
    public IDataView Cache(IDataView input, params string[] columnsToPrefetch)
    {
        _env.CheckValue(input, nameof(input));
        return new CacheDataView(input, columnsToPrefetch);
    }

    /// <summary>
    /// The rows in random order: of the next <paramref name="shufflePoolSize"/> rows of the input, which is itself read in random order
    /// if it can be and <paramref name="shuffleSource"/> is set, any may come next.
    /// </summary>
    public IDataView ShuffleRows(IDataView input, int? seed = null, int shufflePoolSize = 1000, bool shuffleSource = true)
    {
        _env.CheckValue(input, nameof(input));
        _env.CheckUserArg(shufflePoolSize > 0, nameof(shufflePoolSize), "Must be positive");
        return new ShuffledDataView(input, seed ?? _env.Register(nameof(ShuffleRows)).Rand.Next(), shufflePoolSize, shuffleSource);
    }

    /// <summary>The first rows.</summary>
    public IDataView TakeRows(IDataView input, long count)
    {
        _env.CheckValue(input, nameof(input));
        _env.CheckUserArg(count >= 0, nameof(count), "Must be greater than or equal to zero.");
        return new RowRangeDataView(input, first: 0, count);
    }

    /// <summary>The rows after the first ones.</summary>
    public IDataView SkipRows(IDataView input, long count)
    {
        _env.CheckValue(input, nameof(input));
        _env.CheckUserArg(count >= 0, nameof(count), "Must be greater than or equal to zero.");
        return new RowRangeDataView(input, first: count, long.MaxValue);
    }

    /// <summary>The rows whose value in a column, of type Single or Double, is at least the lower and less than the upper bound.</summary>
    public IDataView FilterRowsByColumn(IDataView input, string columnName,
        double lowerBound = double.NegativeInfinity, double upperBound = double.PositiveInfinity)
    {
        _env.CheckValue(input, nameof(input));
        var column = input.Schema.GetColumn(_env, "filter", columnName, nameof(columnName));
        _env.CheckUserArg(lowerBound < upperBound, nameof(lowerBound), "The lower bound must be less than the upper one.");
        if (column.Type != NumberDataViewType.Single && column.Type != NumberDataViewType.Double)
            throw _env.ExceptSchemaMismatch(nameof(columnName), "filter", columnName, "Single or Double", column.Type.ToString());
        return new FilteredDataView(input, [column], row =>
        {
            var getter = NumberGetters.AsDouble(row, column);
            double value = 0;
            return () =>
            {
                getter(ref value);
                return lowerBound <= value && value < upperBound;
            };
        });
    }

    /// <summary>
    /// Splits the rows at random, about <paramref name="testFraction"/> of them into the test set. Rows that are alike in the column
    /// <paramref name="samplingKeyColumnName"/>, if one is given, come into the same set.
    /// </summary>
    public TrainTestData TrainTestSplit(IDataView data, double testFraction = 0.1, string samplingKeyColumnName = null, int? seed = null)
    {
        _env.CheckValue(data, nameof(data));
        _env.CheckUserArg(testFraction is > 0 and < 1, nameof(testFraction), "Must be between 0 and 1 exclusive");
        seed ??= (_env as IHostEnvironmentInternal)?.Seed;
        var split = samplingKeyColumnName is null
            ? RowSplit.Random(seed, testFraction)
            : RowSplit.ByColumn(data.Schema.GetColumn(_env, "SamplingKeyColumn", samplingKeyColumnName, nameof(samplingKeyColumnName)),
                seed, testFraction);
        return new TrainTestData(split.Choose(data, isTest: false), split.Choose(data, isTest: true));
    }

    private static IEnumerable<TRow> Enumerate<TRow>(IDataView data, bool reuseRowObject, RowWriter<TRow> writer) where TRow : class, new()
    {
        using var cursor = data.GetRowCursor(writer.Columns);
        var write = writer.MakeWriter(cursor);
        var row = new TRow();
        while (cursor.MoveNext())
        {
            if (!reuseRowObject)
                row = new TRow();
            write(row);
            yield return row;
        }
    }

    public readonly struct TrainTestData
    {
        public readonly IDataView TrainSet;
        public readonly IDataView TestSet;

        internal TrainTestData(IDataView trainSet, IDataView testSet)
        {
            TrainSet = trainSet;
            TestSet = testSet;
        }
    }
}
