using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.SparseCtr.Interop;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// Gives each row the smoothed click rate that its keys (the item, the user) had in an event log strictly before the row's time, and how often
/// they were shown: target encoding that cannot leak.
/// </summary>
/// <remarks>
/// For a key with n events and a sum of labels s so far, and N events and a sum S over all keys, the rate is (s + w·p)/(n + w) with
/// p = (S + w·q)/(N + w), where w is <see cref="Options.PriorWeight"/> and q <see cref="Options.InitialRate"/>. Create it with
/// <see cref="SparseCtrCatalog.RunningRate(TransformsCatalog, IDataView, Options)"/>.
/// </remarks>
public sealed class RunningRateEstimator : IEstimator<RunningRateTransformer>
{
    private readonly IHost _host;
    private readonly IDataView _log;
    private readonly Options _options;

    internal RunningRateEstimator(IHostEnvironment environment, IDataView log, Options options)
    {
        _host = environment.Register(nameof(RunningRateEstimator));
        options = options.Copy();
        options.Validate(_host);
        RunningRateTransformer.CheckLog(_host, log.Schema, options);
        (_log, _options) = (log, options);
    }

    /// <summary>Options of <see cref="RunningRateEstimator"/>.</summary>
    public sealed class Options
    {
        /// <summary>
        /// The columns whose rates are wanted: text, numbers, or keys for one of them, compared by value between log and rows. Default
        /// "Item".
        /// </summary>
        public string[] KeyColumnNames { get; set; } = ["Item"];

        /// <summary>
        /// The log's column to average: a Boolean, or a Single, which may be any number, such as a rating. Events without one (NaN or
        /// infinite) are left out. Default "Label".
        /// </summary>
        public string LabelColumnName { get; set; } = "Label";

        /// <summary>The time of an event, and of a row: Unix seconds (Int64) or DateTime. Default "Timestamp".</summary>
        public string TimestampColumnName { get; set; } = "Timestamp";

        /// <summary>The rate of column "X" is called "X" and this. Default "Rate".</summary>
        public string RateSuffix { get; set; } = "Rate";

        /// <summary>The count of column "X" is called "X" and this; null adds no counts. Default "Count".</summary>
        public string? CountSuffix { get; set; } = "Count";

        /// <summary>
        /// Whether a count n is given as ln(1 + n), which serves a model better than numbers over several orders of magnitude. Default true.
        /// </summary>
        public bool LogarithmicCount { get; set; } = true;

        /// <summary>As many events at the overall rate are added to those of a key. At least 0; default 10.</summary>
        public double PriorWeight { get; set; } = 10;

        /// <summary>The overall rate to begin with, which counts as much as <see cref="PriorWeight"/> events. Default 0.5.</summary>
        public double InitialRate { get; set; } = 0.5;

        /// <summary>
        /// Seconds after which an event is known where predictions are made: a row at time t counts events strictly before t − DelaySeconds.
        /// At least 0; default 0.
        /// </summary>
        public long DelaySeconds { get; set; }

        /// <summary>
        /// Whether the events are saved with the model. If not, a loaded model must be given a log
        /// (<see cref="SparseCtrCatalog.AppendEvents"/>) before it is used. Default true.
        /// </summary>
        public bool SaveEvents { get; set; } = true;

        internal void Validate(IExceptionContext? context)
        {
            var options = new OptionCheck(context);
            options.Require(
                KeyColumnNames is { Length: > 0 } && !KeyColumnNames.Any(string.IsNullOrEmpty) && KeyColumnNames.Distinct().Count() == KeyColumnNames.Length,
                nameof(KeyColumnNames), "names of columns, at least one, each once", KeyColumnNames is null ? null : string.Join(", ", KeyColumnNames));
            options.RequireName(LabelColumnName, nameof(LabelColumnName));
            options.RequireName(TimestampColumnName, nameof(TimestampColumnName));
            options.Require(!string.IsNullOrEmpty(RateSuffix) && RateSuffix != CountSuffix, nameof(RateSuffix), $"something other than {nameof(CountSuffix)}", RateSuffix);
            options.Require(CountSuffix != "", nameof(CountSuffix), "null or not empty", CountSuffix);
            options.Require(double.IsFinite(PriorWeight) && PriorWeight >= 0, nameof(PriorWeight), "0 or more", PriorWeight);
            options.Require(double.IsFinite(InitialRate), nameof(InitialRate), "a number", InitialRate);
            options.Require(DelaySeconds >= 0, nameof(DelaySeconds), "0 or more", DelaySeconds);
        }

        /// <summary>The columns that rows get.</summary>
        internal IEnumerable<string> Added => KeyColumnNames.SelectMany(name => CountSuffix is null ? [name + RateSuffix] : new[] { name + RateSuffix, name + CountSuffix });

        internal Options Copy()
        {
            var copy = (Options)MemberwiseClone();
            copy.KeyColumnNames = KeyColumnNames?.ToArray()!;
            return copy;
        }
    }

    /// <summary>Reads the event log into an index.</summary>
    /// <param name="input">Rows as they will be transformed. Only their schema counts.</param>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or has the wrong type: the message names it and what was expected.</exception>
    /// <exception cref="InvalidOperationException">An event has a negative time.</exception>
    public RunningRateTransformer Fit(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        RunningRateTransformer.CheckRows(_host, MLNetInternals.ShapeOf(input.Schema), _options);
        IdType[] types = _options.KeyColumnNames.Select(name => IdType.Of(_log.Schema[name])).ToArray();
        var transformer = new RunningRateTransformer(_host, _options, types, indexes: null);
        transformer.CheckKeys(input.Schema);
        EventLog.AppendTo([transformer], _log, () => MLNetInternals.CheckAlive(_host));
        return transformer;
    }

    /// <inheritdoc/>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        RunningRateTransformer.CheckRows(_host, inputSchema, _options);
        return inputSchema.WithColumns(_options.Added.Select(name => MLNetInternals.ScalarShape(name, NumberDataViewType.Single)));
    }
}
