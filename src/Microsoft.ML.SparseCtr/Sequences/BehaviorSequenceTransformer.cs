using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.SparseCtr.Interop;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// Adds to each row the history of its user, from an index of events that it holds. Safe for concurrent use, <see cref="Append(IDataView)"/>
/// included: who reads a row sees all of an appended log or none of it.
/// </summary>
public sealed class BehaviorSequenceTransformer : ColumnAddingTransformer, IEventAppender
{
    internal const string HistoryTimestamp = nameof(HistoryTimestamp);

    private readonly IHost _host;
    private readonly BehaviorSequenceEstimator.Options _options;
    private readonly IdType _userType;
    private readonly EventField[] _fields;
    private readonly EventIndexes _indexes;

    internal BehaviorSequenceTransformer(
        IHostEnvironment environment, BehaviorSequenceEstimator.Options options, IdType userType, EventField[] fields, EventIndex? index)
    {
        _host = environment.Register(nameof(BehaviorSequenceTransformer));
        (_options, _userType, _fields) = (options, userType, fields);
        _indexes = new EventIndexes([NewBuilder], index is null ? null : [index]);
    }

    /// <summary>Events that the index holds.</summary>
    public long NumberOfEvents => _indexes.NumberOfEvents;

    /// <summary>
    /// Adds newer events, without building the index anew: this costs as much as reading them and, now and then, merging them with those
    /// appended before. New users are fine.
    /// </summary>
    /// <param name="events">Events with the columns of the log that the index was made of.</param>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or has the wrong type.</exception>
    /// <exception cref="InvalidOperationException">
    /// An event is older than the latest of its user, or its time is negative. Nothing has been added then.
    /// </exception>
    public void Append(IDataView events) => EventLog.AppendTo([this], events);

    EventIndexes.Appending IEventAppender.PrepareToAppend(IDataView events, Action? checkCanceled)
    {
        CheckLog(_host, events.Schema, _options);
        EventIndex.Builder builder = NewBuilder();
        long skipped = 0;
        EventLog.Read(events, _options.TimestampColumnName, [_options.UserColumnName, .. _fields.Select(field => field.ColumnName)], checkCanceled, row =>
        {
            IdReader user = UserReader(row);
            Action[] appendFields = _fields.Select((field, i) => field.Appender(row, builder.Columns[i])).ToArray();
            return time =>
            {
                if (!user.Read())
                {
                    skipped++;
                    return;
                }
                builder.Add(builder.Ids.FindOrAdd(user), time);
                foreach (Action append in appendFields)
                    append();
            };
        });
        EventLog.WarnOfSkipped(_host, skipped, $"without a user in column '{_options.UserColumnName}'");
        return _indexes.PrepareToAppend(older => [builder.Build(_options.MinimumGapSeconds, older[0])]);
    }

    private protected override void Save(ModelSaveContext context) => BehaviorSequenceLoader.Entries.Save(
        context, new BehaviorSequenceFile(_options, _userType, _fields.Select(field => field.Config).ToArray()).Write, stream =>
        {
            var writer = new ArrayWriter(stream);
            foreach (KeyedField field in _fields.OfType<KeyedField>())
                field.Values?.Write(writer);
            if (_options.SaveEvents)
                _indexes.Merged()[0].Write(writer);
        });

    internal static BehaviorSequenceTransformer Load(IHostEnvironment environment, BehaviorSequenceFile file, Stream stream)
    {
        var reader = new ArrayReader(stream);
        EventField[] fields = file.Fields.Select(config => EventField.Restore(config, reader)).ToArray();
        EventIndex? index = file.Options.SaveEvents
            ? EventIndex.Read(reader, file.UserType, (from, count, _) => fields.Select(field => field.Read(from, count)).ToArray())
            : null;
        return new BehaviorSequenceTransformer(environment, file.Options, file.UserType, fields, index);
    }

    internal static void CheckLog(IHost host, DataViewSchema schema, BehaviorSequenceEstimator.Options options)
    {
        SchemaShape shape = MLNetInternals.ShapeOf(schema);
        CheckRows(host, shape, options);
        foreach (string name in options.Carried)
            new InputColumn("history", name, ColumnContent.Scalar).Check(host, shape);
    }

    internal static void CheckRows(IHost host, SchemaShape shape, BehaviorSequenceEstimator.Options options)
    {
        new InputColumn("user", options.UserColumnName, ColumnContent.Id).Check(host, shape);
        new InputColumn("timestamp", options.TimestampColumnName, ColumnContent.Timestamp).Check(host, shape);
    }

    internal void CheckUser(DataViewSchema schema) => _userType.Check(schema[_options.UserColumnName], _host);

    private EventIndex.Builder NewBuilder() => new(_userType, _fields.Select(field => field.NewBuffer()).ToArray());

    private IdReader UserReader(DataViewRow row)
    {
        CheckUser(row.Schema);
        return new IdReader(row, row.Schema[_options.UserColumnName]);
    }

    private protected override ColumnAddingMapper MapperFor(DataViewSchema schema)
    {
        CheckRows(_host, MLNetInternals.ShapeOf(schema), _options);
        CheckUser(schema);
        foreach (KeyedField field in _fields.OfType<KeyedField>())
            field.CheckRows(schema);
        return new Mapper(this, schema);
    }

    private sealed class Mapper(BehaviorSequenceTransformer transformer, DataViewSchema schema) : ColumnAddingMapper(schema,
        [
            .. transformer._fields.Select(field => field.HistoryColumn),
            new DataViewSchema.DetachedColumn(HistoryTimestamp, new VectorDataViewType(NumberDataViewType.Int64), transformer._options.Window.ToAnnotations()),
        ])
    {
        private BehaviorSequenceEstimator.Options Options => transformer._options;

        protected override IEnumerable<string> ReadColumnNames => [Options.UserColumnName, Options.TimestampColumnName];

        protected override Delegate[] MakeGetters(DataViewRow input)
        {
            IdReader user = transformer.UserReader(input);
            Func<long> time = EventLog.Time(input, Options.TimestampColumnName, "The rows");
            var history = new History();
            Func<History> current = OncePerRow(input, () =>
            {
                IReadOnlyList<EventIndex> indexes = user.Read() ? transformer._indexes.Filled[0] : [];
                bool isKnown = history.Find(indexes, user, time() - Options.DelaySeconds, Options.HistoryLength, Options.HistoryStride);
                if (!isKnown && Options.UnknownUsers == BehaviorSequenceEstimator.UnknownUserMode.Error)
                    throw new InvalidOperationException($"Row {input.Position}: the event log does not know the user in column '{Options.UserColumnName}'.");
                return history;
            });
            return
            [
                .. transformer._fields.Select((field, i) => field.HistoryGetter(current, i)),
                History.Getter<long>(current, (index, places, destination) => index.Timestamps[places].CopyTo(destination)),
            ];
        }
    }
}

/// <summary>What a model file says of a <see cref="BehaviorSequenceTransformer"/>, beside its arrays.</summary>
internal sealed record BehaviorSequenceFile(BehaviorSequenceEstimator.Options Options, IdType UserType, EventFieldConfig[] Fields)
{
    private const string Name = "behaviorSequence";

    public void Write(TextWriter writer) => ConfigFile.Write(Name, this, writer);

    /// <exception cref="FormatException">The text is no such configuration.</exception>
    public static BehaviorSequenceFile Parse(string json) => ConfigFile.Parse<BehaviorSequenceFile>(Name, json, file =>
    {
        file.Options.Validate(null);
        ArrayReader.Require(Enum.IsDefined(file.UserType.Kind), "the users are of no kind of ids");
        ArrayReader.Require(file.Fields.Select(field => field.ColumnName).SequenceEqual(file.Options.Carried), "the fields are not those of the options");
    });
}
