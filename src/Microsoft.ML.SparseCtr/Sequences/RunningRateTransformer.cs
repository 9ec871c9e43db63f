using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.SparseCtr.Interop;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// Adds to each row the rates and counts of its keys, from an index of events that it holds. Safe for concurrent use,
/// <see cref="Append(IDataView)"/> included.
/// </summary>
public sealed class RunningRateTransformer : ColumnAddingTransformer, IEventAppender
{
    private readonly IHost _host;
    private readonly RunningRateEstimator.Options _options;
    private readonly IdType[] _keyTypes;

    // One way for each key column, and the last for all events, as if of one key.
    private readonly EventIndexes _indexes;

    /// <param name="environment">The environment that the transformer belongs to.</param>
    /// <param name="options">Checked.</param>
    /// <param name="keyTypes">What the ids of each key column are.</param>
    /// <param name="indexes">An index for each key column and one for all events; null where there are no events yet.</param>
    internal RunningRateTransformer(IHostEnvironment environment, RunningRateEstimator.Options options, IdType[] keyTypes, EventIndex[]? indexes)
    {
        _host = environment.Register(nameof(RunningRateTransformer));
        (_options, _keyTypes) = (options, keyTypes);
        _indexes = new EventIndexes(IndexTypes(keyTypes).Select<IdType, Func<EventIndex.Builder>>(type => () => new(type, [new LabelBuffer()])).ToArray(), indexes);
    }

    /// <summary>Events that the index holds.</summary>
    public long NumberOfEvents => _indexes.NumberOfEvents;

    private static IEnumerable<IdType> IndexTypes(IdType[] keyTypes) => [.. keyTypes, new IdType(IdKind.Number)];

    /// <summary>Adds events, in any order of time, without building the index anew.</summary>
    /// <param name="events">Events with the columns of the log that the index was made of.</param>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or has the wrong type.</exception>
    /// <exception cref="InvalidOperationException">An event's time is negative. Nothing has been added then.</exception>
    public void Append(IDataView events) => EventLog.AppendTo([this], events);

    EventIndexes.Appending IEventAppender.PrepareToAppend(IDataView events, Action? checkCanceled)
    {
        CheckLog(_host, events.Schema, _options);
        CheckKeys(events.Schema);
        EventIndex.Builder[] builders = _indexes.NewBuilders();
        EventIndex.Builder all = builders[^1];
        long skipped = 0;
        EventLog.Read(events, _options.TimestampColumnName, [_options.LabelColumnName, .. _options.KeyColumnNames], checkCanceled, row =>
        {
            Func<float> readLabel = ColumnReader.NumberOrBoolean(row, row.Schema[_options.LabelColumnName]);
            IdReader[] keys = KeyReaders(row);
            int everything = all.Ids.FindOrAdd(0);
            return time =>
            {
                float label = readLabel();
                if (!float.IsFinite(label))
                {
                    skipped++;
                    return;
                }
                for (int i = 0; i < keys.Length; i++)
                {
                    if (keys[i].Read())
                        Add(builders[i], builders[i].Ids.FindOrAdd(keys[i]), time, label);
                }
                Add(all, everything, time, label);
            };
        });
        EventLog.WarnOfSkipped(_host, skipped, $"with a missing or infinite label in column '{_options.LabelColumnName}'");
        return _indexes.PrepareToAppend(_ => builders.Select(builder => builder.Build()).ToArray());

        static void Add(EventIndex.Builder builder, int number, long time, float label)
        {
            builder.Add(number, time);
            ((LabelBuffer)builder.Columns[0]).Add(label);
        }
    }

    private protected override void Save(ModelSaveContext context) => RunningRateLoader.Entries.Save(context, new RunningRateFile(_options, _keyTypes).Write, stream =>
    {
        if (!_options.SaveEvents)
            return;
        var writer = new ArrayWriter(stream);
        foreach (EventIndex index in _indexes.Merged())
            index.Write(writer);
    });

    internal static RunningRateTransformer Load(IHostEnvironment environment, RunningRateFile file, Stream stream)
    {
        if (!file.Options.SaveEvents)
            return new RunningRateTransformer(environment, file.Options, file.KeyTypes, indexes: null);
        var reader = new ArrayReader(stream);
        EventIndex[] indexes = IndexTypes(file.KeyTypes)
            .Select(type => EventIndex.Read(reader, type, (from, count, starts) => [LabelColumn.Read(from, count, starts)])).ToArray();
        ArrayReader.Require(indexes[^1].Ids.Count == 1, "the index of all events must be of one id");
        return new RunningRateTransformer(environment, file.Options, file.KeyTypes, indexes);
    }

    internal static void CheckLog(IHost host, DataViewSchema schema, RunningRateEstimator.Options options)
    {
        SchemaShape shape = MLNetInternals.ShapeOf(schema);
        CheckRows(host, shape, options);
        new InputColumn("label", options.LabelColumnName, ColumnContent.NumberOrBoolean).Check(host, shape);
    }

    internal static void CheckRows(IHost host, SchemaShape shape, RunningRateEstimator.Options options)
    {
        foreach (string name in options.KeyColumnNames)
            new InputColumn("key", name, ColumnContent.Id).Check(host, shape);
        new InputColumn("timestamp", options.TimestampColumnName, ColumnContent.Timestamp).Check(host, shape);
    }

    internal void CheckKeys(DataViewSchema schema)
    {
        foreach ((string name, IdType expected) in _options.KeyColumnNames.Zip(_keyTypes))
            expected.Check(schema[name], _host);
    }

    private IdReader[] KeyReaders(DataViewRow row) => _options.KeyColumnNames.Select(name => new IdReader(row, row.Schema[name])).ToArray();

    private protected override ColumnAddingMapper MapperFor(DataViewSchema schema)
    {
        CheckRows(_host, MLNetInternals.ShapeOf(schema), _options);
        CheckKeys(schema);
        return new Mapper(this, schema);
    }

    /// <summary>How many events of an id there were before a time, and the sum of their labels.</summary>
    private static (long Count, double Sum) Before(EventIndex[] indexes, Func<EventIndex, int> numberOf, long time)
    {
        long count = 0;
        double sum = 0;
        foreach (EventIndex index in indexes)
        {
            int number = numberOf(index);
            if (number < 0)
                continue;
            Range places = index.Before(number, time);
            count += places.End.Value - places.Start.Value;
            sum += ((LabelColumn)index.Columns[0]).SumOfRun(places);
        }
        return (count, sum);
    }

    private sealed class Mapper(RunningRateTransformer transformer, DataViewSchema schema)
        : ColumnAddingMapper(schema, transformer._options.Added.Select(name => new DataViewSchema.DetachedColumn(name, NumberDataViewType.Single)))
    {
        private RunningRateEstimator.Options Options => transformer._options;

        protected override IEnumerable<string> ReadColumnNames => [.. Options.KeyColumnNames, Options.TimestampColumnName];

        protected override Delegate[] MakeGetters(DataViewRow input)
        {
            IdReader[] keys = transformer.KeyReaders(input);
            Func<long> readTime = EventLog.Time(input, Options.TimestampColumnName, "The rows");
            var rates = new float[keys.Length];
            var counts = new float[keys.Length];
            Func<(float[] Rates, float[] Counts)> current = OncePerRow(input, Read);
            return keys.SelectMany((_, i) => Options.CountSuffix is null
                ? [Getter(read => read.Rates[i])]
                : new[] { Getter(read => read.Rates[i]), Getter(read => read.Counts[i]) }).ToArray();

            Delegate Getter(Func<(float[] Rates, float[] Counts), float> of) => (ValueGetter<float>)((ref float value) => value = of(current()));

            (float[] Rates, float[] Counts) Read()
            {
                long time = readTime() - Options.DelaySeconds;
                EventIndex[][] indexes = transformer._indexes.Filled;
                (long shown, double clicks) = Before(indexes[^1], _ => 0, time);
                double prior = Smoothed(shown, clicks, Options.InitialRate);
                for (int i = 0; i < keys.Length; i++)
                {
                    IdReader key = keys[i];
                    (long count, double sum) = key.Read() ? Before(indexes[i], index => index.Ids.Find(key), time) : default;
                    rates[i] = (float)Smoothed(count, sum, prior);
                    counts[i] = (float)(Options.LogarithmicCount ? Math.Log(1 + count) : count);
                }
                return (rates, counts);
            }

            double Smoothed(long count, double sum, double prior)
                => count + Options.PriorWeight > 0 ? (sum + Options.PriorWeight * prior) / (count + Options.PriorWeight) : prior;
        }
    }

    /// <summary>
    /// The labels of events, and their sums from the first event of an id up to each. The sums of one id must not go through those of others:
    /// what is large there would drown what is small here.
    /// </summary>
    private sealed class LabelColumn : EventColumn
    {
        private readonly float[] _labels;
        private readonly double[] _sums;

        public LabelColumn(float[] labels, ReadOnlySpan<int> starts)
        {
            _labels = labels;
            _sums = new double[labels.Length];
            for (int number = 0; number + 1 < starts.Length; number++)
            {
                double sum = 0;
                for (int i = starts[number]; i < starts[number + 1]; i++)
                    _sums[i] = sum += labels[i];
            }
        }

        public ReadOnlySpan<float> Labels => _labels;

        /// <summary>The sum of the first events of an id.</summary>
        public double SumOfRun(Range places) => places.End.Value > places.Start.Value ? _sums[places.End.Value - 1] : 0;

        public override void Write(ArrayWriter writer) => writer.Write<float>(_labels);

        public static LabelColumn Read(ArrayReader reader, int count, int[] starts)
        {
            float[] labels = reader.Read<float>(count);
            ArrayReader.Require(labels.All(float.IsFinite), "a label is missing or infinite");
            return new LabelColumn(labels, starts);
        }
    }

    private sealed class LabelBuffer : EventBuffer
    {
        private readonly Blocks<float> _labels = new();

        public void Add(float label) => _labels.Add(label);

        public override void AddRange(EventColumn column) => _labels.AddRange(((LabelColumn)column).Labels);

        public override EventColumn Gather(int[] places, int[] starts) => new LabelColumn(_labels.Gather(places), starts);
    }
}

/// <summary>What a model file says of a <see cref="RunningRateTransformer"/>, beside its arrays.</summary>
internal sealed record RunningRateFile(RunningRateEstimator.Options Options, IdType[] KeyTypes)
{
    private const string Name = "runningRate";

    public void Write(TextWriter writer) => ConfigFile.Write(Name, this, writer);

    /// <exception cref="FormatException">The text is no such configuration.</exception>
    public static RunningRateFile Parse(string json) => ConfigFile.Parse<RunningRateFile>(Name, json, file =>
    {
        file.Options.Validate(null);
        ArrayReader.Require(file.KeyTypes.Length == file.Options.KeyColumnNames.Length && file.KeyTypes.All(type => Enum.IsDefined(type.Kind)),
            "each key column must have a type");
    });
}
