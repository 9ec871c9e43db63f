using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.SparseCtr.Interop;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// Gives each event of a history the number of its chunk, from 0, as a <see cref="ChunkingPolicy"/> cuts it: by the same code that the
/// network uses.
/// </summary>
public sealed class TimeChunkingEstimator : IEstimator<TimeChunkingTransformer>
{
    private readonly TimeChunkingTransformer _transformer;
    private readonly TimeChunkingOptions _options;

    internal TimeChunkingEstimator(IHostEnvironment environment, TimeChunkingOptions options)
        => (_transformer, _options) = (new TimeChunkingTransformer(environment, options), options);

    /// <summary>Returns the transformer, which learns nothing from data.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The input column is missing or has the wrong type.</exception>
    public TimeChunkingTransformer Fit(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        _transformer.Check(MLNetInternals.ShapeOf(input.Schema));
        return _transformer;
    }

    /// <inheritdoc/>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        _transformer.Check(inputSchema);
        return inputSchema.WithColumns([MLNetInternals.VectorShape(_options.OutputColumnName, NumberDataViewType.Int32)]);
    }
}

/// <summary>Adds to each row the chunks of its history.</summary>
public sealed class TimeChunkingTransformer : ColumnAddingTransformer
{
    private readonly IHost _host;
    private readonly TimeChunkingOptions _options;

    internal TimeChunkingTransformer(IHostEnvironment environment, TimeChunkingOptions options)
    {
        _host = environment.Register(nameof(TimeChunkingTransformer));
        _options = options;
    }

    private protected override void Save(ModelSaveContext context) => TimeChunkingLoader.Entries.Save(context, _options.Write);

    internal void Check(SchemaShape schema) => new InputColumn("history timestamp", _options.InputColumnName, ColumnContent.TimestampPerBehavior).Check(_host, schema);

    private protected override ColumnAddingMapper MapperFor(DataViewSchema schema)
    {
        Check(MLNetInternals.ShapeOf(schema));
        return new Mapper(_options, schema);
    }

    private sealed class Mapper(TimeChunkingOptions options, DataViewSchema schema)
        : ColumnAddingMapper(schema, [new DataViewSchema.DetachedColumn(options.OutputColumnName, new VectorDataViewType(NumberDataViewType.Int32))])
    {
        protected override IEnumerable<string> ReadColumnNames => [options.InputColumnName];

        protected override Delegate[] MakeGetters(DataViewRow input)
        {
            Func<long[]> read = ColumnReader.Timestamps(input, input.Schema[options.InputColumnName]);
            return [(ValueGetter<VBuffer<int>>)((ref VBuffer<int> value) =>
            {
                long[] timestamps = read();
                VBufferEditor<int> chunks = VBufferEditor.Create(ref value, timestamps.Length);
                try
                {
                    TimeChunking.Cut(options.Policy, timestamps, options.MaximumChunks, options.HistoryLength, chunks.Values);
                }
                catch (ArgumentException problem)
                {
                    throw new InvalidOperationException($"Row {input.Position}: column '{options.InputColumnName}': {problem.Message}", problem);
                }
                value = chunks.Commit();
            })];
        }
    }
}

/// <summary>What a <see cref="TimeChunkingTransformer"/> does, and what a model file says of it; files of version 1 do not name a policy.</summary>
internal sealed record TimeChunkingOptions(
    string OutputColumnName, string InputColumnName, int MaximumChunks, ChunkingPolicy Policy = ChunkingPolicy.LargestGaps, int HistoryLength = 200)
{
    private const string Name = "timeChunking";

    public void Write(TextWriter writer) => ConfigFile.Write(Name, this, writer);

    /// <exception cref="FormatException">The text is no such configuration.</exception>
    public static TimeChunkingOptions Parse(string json) => ConfigFile.Parse<TimeChunkingOptions>(Name, json, options => options.Check());

    /// <exception cref="ArgumentException">One is out of its range.</exception>
    public TimeChunkingOptions Check()
    {
        ArgumentException.ThrowIfNullOrEmpty(OutputColumnName);
        ArgumentException.ThrowIfNullOrEmpty(InputColumnName);
        if (!Enum.IsDefined(Policy))
            throw new ArgumentOutOfRangeException(nameof(Policy), Policy, "Expected one of its names.");
        ArgumentOutOfRangeException.ThrowIfLessThan(MaximumChunks, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(HistoryLength, 1);
        return this;
    }
}
