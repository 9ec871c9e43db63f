using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.SparseCtr.Interop;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// Joins each row with the history of its user: the latest events of an event log strictly before the row's time. No row sees its own event,
/// or one of the same second, or the future.
/// </summary>
/// <remarks>
/// For a log column "X" the rows get "HistoryX", a vector with one value per event, oldest first; "HistoryTimestamp" holds the times in Unix
/// seconds. Where the rows have a column "X" of keys, "HistoryX" holds the same keys, found by the values that they stand for, whatever the
/// log holds; a value that no key stands for becomes the missing key. Otherwise "HistoryX" is of the log's type. Create it with
/// <see cref="SparseCtrCatalog.BehaviorSequence(TransformsCatalog, IDataView, Options)"/>.
/// </remarks>
public sealed class BehaviorSequenceEstimator : IEstimator<BehaviorSequenceTransformer>
{
    private readonly IHost _host;
    private readonly IDataView _log;
    private readonly Options _options;

    internal BehaviorSequenceEstimator(IHostEnvironment environment, IDataView log, Options options)
    {
        _host = environment.Register(nameof(BehaviorSequenceEstimator));
        options = options.Copy();
        options.Validate(_host);
        BehaviorSequenceTransformer.CheckLog(_host, log.Schema, options);
        (_log, _options) = (log, options);
    }

    /// <summary>What becomes of a row whose user the event log does not know.</summary>
    public enum UnknownUserMode
    {
        /// <summary>An empty history.</summary>
        EmptyHistory,

        /// <summary>An InvalidOperationException that names the row.</summary>
        Error,
    }

    /// <summary>Options of <see cref="BehaviorSequenceEstimator"/>.</summary>
    public sealed class Options
    {
        /// <summary>
        /// Whose events they are, in the log and in the rows: text, a number, or a key for one of them, compared by value. Raw ids serve
        /// better than keys among the rows: MapValueToKey knows no user whom it has not seen when it was fitted. Default "User".
        /// </summary>
        public string UserColumnName { get; set; } = "User";

        /// <summary>The time of an event, and of a row: Unix seconds (Int64) or DateTime. Default "Timestamp".</summary>
        public string TimestampColumnName { get; set; } = "Timestamp";

        /// <summary>The log's column of items: a key, text, a number, Boolean or DateTime. Default "Item".</summary>
        public string ItemColumnName { get; set; } = "Item";

        /// <summary>Further columns of the log that histories carry, of the same types: an item's category, the kind of action. Default none.</summary>
        public string[] FieldColumnNames { get; set; } = [];

        /// <summary>Events of a history, at most: the latest. 1 to 100,000; default 200.</summary>
        public int HistoryLength { get; set; } = 200;

        /// <summary>
        /// A longer history begins at a multiple of this many of the user's events: so a row gets the latest HistoryLength − HistoryStride + 1 to
        /// HistoryLength events, and rows that follow each other have histories that begin at the same event, which lets training encode
        /// them together (<see cref="CtrTrainerOptions.RequestsPerHistory"/>). 1 to HistoryLength; default 1, always the latest events.
        /// </summary>
        public int HistoryStride { get; set; } = 1;

        /// <summary>
        /// Seconds after which an event is known where predictions are made: a row at time t gets events strictly before t − DelaySeconds.
        /// At least 0; default 0.
        /// </summary>
        public long DelaySeconds { get; set; }

        /// <summary>
        /// Leaves out an event that comes less than this many seconds after the user's last one that was not left out, such as one of a burst
        /// of the same page. At least 0; default 0, which keeps all.
        /// </summary>
        public long MinimumGapSeconds { get; set; }

        /// <summary>What becomes of a row whose user the log does not know. Default: an empty history.</summary>
        public UnknownUserMode UnknownUsers { get; set; } = UnknownUserMode.EmptyHistory;

        /// <summary>
        /// Whether the events are saved with the model. If not, a loaded model must be given a log
        /// (<see cref="SparseCtrCatalog.AppendEvents"/>) before it is used. Default true.
        /// </summary>
        public bool SaveEvents { get; set; } = true;

        internal void Validate(IExceptionContext? context)
        {
            var options = new OptionCheck(context);
            options.RequireName(UserColumnName, nameof(UserColumnName));
            options.RequireName(TimestampColumnName, nameof(TimestampColumnName));
            options.RequireName(ItemColumnName, nameof(ItemColumnName));
            options.Require(FieldColumnNames is not null, nameof(FieldColumnNames), "an array, empty where there are no fields", null);
            foreach (string name in FieldColumnNames!)
                options.RequireName(name, nameof(FieldColumnNames));
            options.Require(Carried.Count() == Carried.Distinct().Count(), nameof(FieldColumnNames), "other columns than the item, and each one once",
                string.Join(", ", FieldColumnNames));
            options.Require(Carried.All(name => EventField.Prefix + name != BehaviorSequenceTransformer.HistoryTimestamp), nameof(FieldColumnNames),
                $"other columns than one for {BehaviorSequenceTransformer.HistoryTimestamp}, which is always there", string.Join(", ", Carried));
            options.Require(HistoryLength is >= 1 and <= 100_000, nameof(HistoryLength), "1 to 100,000", HistoryLength);
            options.Require(HistoryStride >= 1 && HistoryStride <= HistoryLength, nameof(HistoryStride), $"1 to {nameof(HistoryLength)} ({HistoryLength:N0})", HistoryStride);
            options.Require(DelaySeconds >= 0, nameof(DelaySeconds), "0 or more", DelaySeconds);
            options.Require(MinimumGapSeconds >= 0, nameof(MinimumGapSeconds), "0 or more", MinimumGapSeconds);
            options.Require(Enum.IsDefined(UnknownUsers), nameof(UnknownUsers), "one of its names", UnknownUsers);
        }

        /// <summary>Which of a user's events a history has.</summary>
        internal HistoryWindow Window => new(HistoryLength, HistoryStride);

        /// <summary>The log's columns that histories carry, the item first.</summary>
        internal IEnumerable<string> Carried => [ItemColumnName, .. FieldColumnNames];

        internal Options Copy()
        {
            var copy = (Options)MemberwiseClone();
            copy.FieldColumnNames = FieldColumnNames?.ToArray()!;
            return copy;
        }
    }

    /// <summary>Reads the event log into an index.</summary>
    /// <param name="input">Rows as they will be transformed. Only their schema counts.</param>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or has the wrong type: the message names it and what was expected.</exception>
    /// <exception cref="InvalidOperationException">An event has a negative time.</exception>
    public BehaviorSequenceTransformer Fit(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        BehaviorSequenceTransformer.CheckRows(_host, MLNetInternals.ShapeOf(input.Schema), _options);
        EventField[] fields = _options.Carried
            .Select(name => EventField.Create(_log.Schema[name], input.Schema.GetColumnOrNull(name))).ToArray();
        var transformer = new BehaviorSequenceTransformer(_host, _options, IdType.Of(_log.Schema[_options.UserColumnName]), fields, index: null);
        transformer.CheckUser(input.Schema);
        EventLog.AppendTo([transformer], _log, () => MLNetInternals.CheckAlive(_host));
        return transformer;
    }

    /// <inheritdoc/>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        BehaviorSequenceTransformer.CheckRows(_host, inputSchema, _options);
        SchemaShape log = MLNetInternals.ShapeOf(_log.Schema);
        SchemaShape.Column[] added =
        [
            .. _options.Carried.Select(name => inputSchema.Where(column => column.Name == name && column.IsKey).Append(log.Single(column => column.Name == name)).First())
                .Select(column => column.IsKey
                    ? MLNetInternals.KeyVectorShape(EventField.Prefix + column.Name, column.Annotations)
                    : MLNetInternals.VectorShape(EventField.Prefix + column.Name, column.ItemType)),
            MLNetInternals.VectorShape(BehaviorSequenceTransformer.HistoryTimestamp, NumberDataViewType.Int64, _options.Window.ToAnnotations()),
        ];
        return inputSchema.WithColumns(added);
    }
}
