using Microsoft.ML.AutoML;
using Microsoft.ML.Runtime;
using Microsoft.ML.SparseCtr;
using Microsoft.ML.SparseCtr.Interop;

namespace Microsoft.ML;

/// <summary>What this library adds to ML.NET's catalogs.</summary>
public static class SparseCtrCatalog
{
    /// <summary>
    /// Creates a trainer that predicts click-through rates from long histories by SparseCTR (arXiv:2601.17836).
    /// </summary>
    /// <param name="catalog">The catalog: <c>mlContext.Ranking.Trainers</c>.</param>
    /// <param name="labelColumnName">The label: a Boolean, or a Single that is 0 or 1.</param>
    /// <param name="itemColumnName">The candidate item: a key.</param>
    /// <param name="timestampColumnName">The time of the row: Unix seconds (Int64) or DateTime.</param>
    /// <param name="historyItemColumnName">The items of the user's history, oldest first: a vector of keys.</param>
    /// <param name="historyTimestampColumnName">The times of the history: a vector of Unix seconds (Int64) or DateTime.</param>
    /// <param name="historyColumnNames">Further fields of the history; "HistoryX" shares embeddings with candidate column "X".</param>
    /// <param name="candidateColumnNames">Further key columns of the candidate.</param>
    /// <param name="userColumnNames">Key columns of the user or the request.</param>
    /// <param name="numericColumnNames">Numeric columns (Single, scalar or vector).</param>
    /// <param name="rowGroupColumnName">A key, whole number or text: consecutive rows with the same value share one history.</param>
    public static SparseCtrTrainer SparseCtr(
        this RankingCatalog.RankingTrainers catalog,
        string labelColumnName = "Label",
        string itemColumnName = "Item",
        string timestampColumnName = "Timestamp",
        string historyItemColumnName = "HistoryItem",
        string historyTimestampColumnName = "HistoryTimestamp",
        string[]? historyColumnNames = null,
        string[]? candidateColumnNames = null,
        string[]? userColumnNames = null,
        string[]? numericColumnNames = null,
        string? rowGroupColumnName = null)
        => catalog.SparseCtr(new SparseCtrTrainer.Options().WithColumns(
            labelColumnName, itemColumnName, timestampColumnName, historyItemColumnName, historyTimestampColumnName,
            historyColumnNames, candidateColumnNames, userColumnNames, numericColumnNames, rowGroupColumnName));

    /// <summary>
    /// Creates a trainer that predicts click-through rates from long histories by SparseCTR (arXiv:2601.17836), with all its options.
    /// </summary>
    /// <param name="catalog">The catalog: <c>mlContext.Ranking.Trainers</c>.</param>
    /// <param name="options">Columns, sizes and training; the trainer takes a copy.</param>
    /// <param name="progress">Told after every optimizer step, on the training thread.</param>
    /// <param name="cancellationToken">Cancels Fit, between two optimizer steps.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range: the parameter's name is the option's.</exception>
    public static SparseCtrTrainer SparseCtr(
        this RankingCatalog.RankingTrainers catalog,
        SparseCtrTrainer.Options options,
        IProgress<TrainingProgress>? progress = null,
        CancellationToken cancellationToken = default)
        => new(EnvironmentFor(catalog, options), options, progress, cancellationToken);

    /// <summary>
    /// Creates a trainer that predicts click-through rates from long histories by ETA (arXiv:2108.04468): of the history, the candidate attends to the
    /// behaviors that are most like it, found by SimHash fingerprints, and to the latest ones.
    /// </summary>
    /// <inheritdoc cref="SparseCtr(RankingCatalog.RankingTrainers, string, string, string, string, string, string[], string[], string[], string[], string)"/>
    public static EtaTrainer Eta(
        this RankingCatalog.RankingTrainers catalog,
        string labelColumnName = "Label",
        string itemColumnName = "Item",
        string timestampColumnName = "Timestamp",
        string historyItemColumnName = "HistoryItem",
        string historyTimestampColumnName = "HistoryTimestamp",
        string[]? historyColumnNames = null,
        string[]? candidateColumnNames = null,
        string[]? userColumnNames = null,
        string[]? numericColumnNames = null,
        string? rowGroupColumnName = null)
        => catalog.Eta(new EtaTrainer.Options().WithColumns(
            labelColumnName, itemColumnName, timestampColumnName, historyItemColumnName, historyTimestampColumnName,
            historyColumnNames, candidateColumnNames, userColumnNames, numericColumnNames, rowGroupColumnName));

    /// <summary>Creates a trainer that predicts click-through rates from long histories by ETA (arXiv:2108.04468), with all its options.</summary>
    /// <inheritdoc cref="SparseCtr(RankingCatalog.RankingTrainers, SparseCtrTrainer.Options, IProgress{TrainingProgress}, CancellationToken)"/>
    public static EtaTrainer Eta(
        this RankingCatalog.RankingTrainers catalog,
        EtaTrainer.Options options,
        IProgress<TrainingProgress>? progress = null,
        CancellationToken cancellationToken = default)
        => new(EnvironmentFor(catalog, options), options, progress, cancellationToken);

    /// <summary>
    /// Creates a trainer of a small network in which the candidate attends to the user's latest behaviors, in the manner of DIN (arXiv:1706.06978): the
    /// baseline for what longer histories are worth.
    /// </summary>
    /// <inheritdoc cref="SparseCtr(RankingCatalog.RankingTrainers, SparseCtrTrainer.Options, IProgress{TrainingProgress}, CancellationToken)"/>
    public static TargetAttentionTrainer TargetAttention(
        this RankingCatalog.RankingTrainers catalog,
        TargetAttentionTrainer.Options options,
        IProgress<TrainingProgress>? progress = null,
        CancellationToken cancellationToken = default)
        => new(EnvironmentFor(catalog, options), options, progress, cancellationToken);

    /// <summary>
    /// Creates a trainer of SparseCTR's network with dense attention, whose cost, with two blocks or more, grows with the square of the history's length: what sparse attention
    /// is to be held against.
    /// </summary>
    /// <inheritdoc cref="SparseCtr(RankingCatalog.RankingTrainers, SparseCtrTrainer.Options, IProgress{TrainingProgress}, CancellationToken)"/>
    public static DenseAttentionTrainer DenseAttention(
        this RankingCatalog.RankingTrainers catalog,
        DenseAttentionTrainer.Options options,
        IProgress<TrainingProgress>? progress = null,
        CancellationToken cancellationToken = default)
        => new(EnvironmentFor(catalog, options), options, progress, cancellationToken);

    /// <summary>SparseCtr as an AutoML experiment sweeps it: each trial has a trainer with options of its own.</summary>
    /// <param name="catalog">The catalog: <c>mlContext.Auto()</c>.</param>
    /// <param name="options">The columns, and the options that are not searched.</param>
    /// <param name="size">How many options are searched.</param>
    /// <exception cref="ArgumentOutOfRangeException">The size is none; or, once a trial begins, an option is out of its range: the parameter's name is the option's.</exception>
    public static SweepableEstimator SparseCtr(this AutoCatalog catalog, SparseCtrTrainer.Options options, SweepSize size = SweepSize.Standard)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(options);
        return Sweep.Of(options, size, (context, trial) => context.Ranking.Trainers.SparseCtr(trial));
    }

    /// <summary>Eta as an AutoML experiment sweeps it: each trial has a trainer with options of its own.</summary>
    /// <inheritdoc cref="SparseCtr(AutoCatalog, SparseCtrTrainer.Options, SweepSize)"/>
    public static SweepableEstimator Eta(this AutoCatalog catalog, EtaTrainer.Options options, SweepSize size = SweepSize.Standard)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(options);
        return Sweep.Of(options, size, (context, trial) => context.Ranking.Trainers.Eta(trial));
    }

    /// <summary>
    /// Sets an experiment's pipeline, data, metric and runner of trials: each finished trial is in a folder, with its model, before the next one begins, and a sweep that was
    /// ended in any way goes on where it was. Set tuner and monitor after it.
    /// </summary>
    /// <param name="experiment">The experiment: <c>mlContext.Auto().CreateExperiment()</c>.</param>
    /// <param name="trials">What is trained and measured, and the folder.</param>
    /// <exception cref="ArgumentOutOfRangeException">What the trials say does not hold together: the parameter's name is the property's.</exception>
    /// <exception cref="FormatException">The folder has a trial that cannot be read: the message names the file.</exception>
    public static AutoMLExperiment SetTrials(this AutoMLExperiment experiment, SweepTrials trials)
    {
        ArgumentNullException.ThrowIfNull(experiment);
        ArgumentNullException.ThrowIfNull(trials);
        trials.Check();
        var folder = new TrialFolder(trials.Folder);
        return experiment.SetDataset(trials.TrainSet, trials.ValidationSet).SetPipeline(trials.Pipeline)
            .SetTrialRunner(services => new SweepTrialRunner((MLContext)services.GetService(typeof(MLContext))!, trials, folder));
    }

    private static IHostEnvironment EnvironmentFor(RankingCatalog.RankingTrainers catalog, CtrTrainerOptions options)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(options);
        return MLNetInternals.EnvironmentOf(catalog);
    }

    private static TOptions WithColumns<TOptions>(
        this TOptions options, string label, string item, string timestamp, string historyItem, string historyTimestamp,
        string[]? history, string[]? candidate, string[]? user, string[]? numeric, string? rowGroup) where TOptions : CtrTrainerOptions
    {
        (options.LabelColumnName, options.ItemColumnName, options.TimestampColumnName) = (label, item, timestamp);
        (options.HistoryItemColumnName, options.HistoryTimestampColumnName, options.HistoryColumnNames) = (historyItem, historyTimestamp, history ?? []);
        (options.CandidateColumnNames, options.UserColumnNames, options.NumericColumnNames) = (candidate ?? [], user ?? [], numeric ?? []);
        options.RowGroupColumnName = rowGroup;
        return options;
    }

    /// <summary>
    /// Joins each row with the history of its user: for log columns "Item" and others, the rows get "HistoryItem" and so on, and
    /// "HistoryTimestamp": the latest events strictly before the row's time, oldest first.
    /// </summary>
    /// <param name="catalog">The catalog: <c>mlContext.Transforms</c>.</param>
    /// <param name="history">The event log, in any order of time: the rows themselves, or any other view with these columns.</param>
    /// <param name="userColumnName">Whose events they are, in log and rows: text, a number, or a key for one of them.</param>
    /// <param name="itemColumnName">The log's items: a key, text or a number. Where the rows have keys of this name, the history gets the same keys.</param>
    /// <param name="timestampColumnName">The time, in log and rows: Unix seconds (Int64) or DateTime.</param>
    /// <param name="fieldColumnNames">Further columns of the log that histories carry.</param>
    /// <param name="historyLength">Events of a history, at most. 1 to 100,000.</param>
    /// <param name="delaySeconds">Seconds after which an event is known where predictions are made. At least 0.</param>
    /// <exception cref="ArgumentOutOfRangeException">A column of the log is missing or has the wrong type, or an argument is out of its range.</exception>
    public static BehaviorSequenceEstimator BehaviorSequence(
        this TransformsCatalog catalog,
        IDataView history,
        string userColumnName = "User",
        string itemColumnName = "Item",
        string timestampColumnName = "Timestamp",
        string[]? fieldColumnNames = null,
        int historyLength = 200,
        long delaySeconds = 0)
        => catalog.BehaviorSequence(history, new BehaviorSequenceEstimator.Options
        {
            UserColumnName = userColumnName,
            ItemColumnName = itemColumnName,
            TimestampColumnName = timestampColumnName,
            FieldColumnNames = fieldColumnNames ?? [],
            HistoryLength = historyLength,
            DelaySeconds = delaySeconds,
        });

    /// <inheritdoc cref="BehaviorSequence(TransformsCatalog, IDataView, string, string, string, string[], int, long)"/>
    /// <param name="catalog">The catalog: <c>mlContext.Transforms</c>.</param>
    /// <param name="history">The event log.</param>
    /// <param name="options">Columns, lengths and delays.</param>
    public static BehaviorSequenceEstimator BehaviorSequence(this TransformsCatalog catalog, IDataView history, BehaviorSequenceEstimator.Options options)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(history);
        ArgumentNullException.ThrowIfNull(options);
        return new BehaviorSequenceEstimator(MLNetInternals.EnvironmentOf(catalog), history, options);
    }

    /// <summary>
    /// Gives each row the smoothed click rate of its keys strictly before its time, and how often they were shown: for key column "Item", the
    /// columns "ItemRate" and "ItemCount" (ln(1 + n)), Singles, which a trainer takes as numbers.
    /// </summary>
    /// <param name="catalog">The catalog: <c>mlContext.Transforms</c>.</param>
    /// <param name="history">The event log with labels: the rows themselves, or any other view with these columns.</param>
    /// <param name="keyColumnNames">The columns, in log and rows, whose rates are wanted: text, numbers, or keys for one of them.</param>
    /// <param name="labelColumnName">The log's label: a Boolean, or a Single, which may be any number, such as a rating.</param>
    /// <param name="timestampColumnName">The time, in log and rows: Unix seconds (Int64) or DateTime.</param>
    /// <param name="priorWeight">As many events at the overall rate are added to those of a key. At least 0.</param>
    /// <param name="delaySeconds">Seconds after which an event is known where predictions are made. At least 0.</param>
    /// <exception cref="ArgumentOutOfRangeException">A column of the log is missing or has the wrong type, or an argument is out of its range.</exception>
    public static RunningRateEstimator RunningRate(
        this TransformsCatalog catalog,
        IDataView history,
        string[] keyColumnNames,
        string labelColumnName = "Label",
        string timestampColumnName = "Timestamp",
        double priorWeight = 10,
        long delaySeconds = 0)
        => catalog.RunningRate(history, new RunningRateEstimator.Options
        {
            KeyColumnNames = keyColumnNames,
            LabelColumnName = labelColumnName,
            TimestampColumnName = timestampColumnName,
            PriorWeight = priorWeight,
            DelaySeconds = delaySeconds,
        });

    /// <inheritdoc cref="RunningRate(TransformsCatalog, IDataView, string[], string, string, double, long)"/>
    /// <param name="catalog">The catalog: <c>mlContext.Transforms</c>.</param>
    /// <param name="history">The event log with labels.</param>
    /// <param name="options">Columns, smoothing and delay.</param>
    public static RunningRateEstimator RunningRate(this TransformsCatalog catalog, IDataView history, RunningRateEstimator.Options options)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(history);
        ArgumentNullException.ThrowIfNull(options);
        return new RunningRateEstimator(MLNetInternals.EnvironmentOf(catalog), history, options);
    }

    /// <summary>
    /// Gives each event of a history the number of its chunk, from 0, as the network cuts it: where the user paused long
    /// (<see cref="Microsoft.ML.SparseCtr.TimeChunking"/>).
    /// </summary>
    /// <param name="catalog">The catalog: <c>mlContext.Transforms</c>.</param>
    /// <param name="outputColumnName">Gets a vector of Int32, one per event.</param>
    /// <param name="inputColumnName">The times of the history, ascending: a vector of Unix seconds (Int64) or of DateTime.</param>
    /// <param name="policy">Where it is cut.</param>
    /// <param name="maximumChunks">Chunks, at most. At least 1.</param>
    /// <param name="historyLength">The length of a full history, by which all policies but the largest gaps know how often to cut. At least 1.</param>
    /// <exception cref="ArgumentException">An argument is out of its range.</exception>
    public static TimeChunkingEstimator TimeChunking(
        this TransformsCatalog catalog, string outputColumnName = "HistoryChunk", string inputColumnName = "HistoryTimestamp",
        ChunkingPolicy policy = ChunkingPolicy.Causal, int maximumChunks = 32, int historyLength = 200)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return new TimeChunkingEstimator(
            MLNetInternals.EnvironmentOf(catalog), new TimeChunkingOptions(outputColumnName, inputColumnName, maximumChunks, policy, historyLength).Check());
    }

    /// <summary>
    /// Splits rows by time, the latest for testing: rows of equal time are never in two parts. Nothing is read before a part is, and
    /// nothing is copied.
    /// </summary>
    /// <param name="catalog">The catalog: <c>mlContext.Data</c>.</param>
    /// <param name="data">The rows, in any order.</param>
    /// <param name="timestampColumnName">The time of a row: Unix seconds (Int64) or DateTime.</param>
    /// <param name="testFraction">The share of the rows, the latest, to test on; a little more where rows of equal time would be split.</param>
    /// <param name="validationFraction">The share of the rows before those to validate on; 0 for no such part.</param>
    /// <exception cref="ArgumentOutOfRangeException">The column is missing or has the wrong type, or the fractions leave nothing to train on.</exception>
    public static TimeSplit SplitByTime(
        this DataOperationsCatalog catalog, IDataView data, string timestampColumnName = "Timestamp", double testFraction = 0.1, double validationFraction = 0)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(data);
        return TimeSplit.ByFractions(MLNetInternals.EnvironmentOf(catalog), data, timestampColumnName, testFraction, validationFraction);
    }

    /// <summary>Splits rows by time, at given instants. Nothing is read before a part is, and nothing is copied.</summary>
    /// <param name="catalog">The catalog: <c>mlContext.Data</c>.</param>
    /// <param name="data">The rows, in any order.</param>
    /// <param name="testStart">The test set begins with rows of this time. Taken as UTC unless its Kind says Local, as a column would be.</param>
    /// <param name="validationStart">The validation set begins with rows of this time; null for no such part.</param>
    /// <param name="timestampColumnName">The time of a row: Unix seconds (Int64) or DateTime.</param>
    /// <exception cref="ArgumentOutOfRangeException">The column is missing or has the wrong type, or the instants are in the wrong order.</exception>
    public static TimeSplit SplitByTime(
        this DataOperationsCatalog catalog, IDataView data, DateTime testStart, DateTime? validationStart = null, string timestampColumnName = "Timestamp")
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(data);
        return catalog.SplitByTime(
            data, ColumnReader.UnixSeconds(testStart), validationStart is { } start ? ColumnReader.UnixSeconds(start) : null, timestampColumnName);
    }

    /// <inheritdoc cref="SplitByTime(DataOperationsCatalog, IDataView, DateTime, DateTime?, string)"/>
    /// <param name="catalog">The catalog: <c>mlContext.Data</c>.</param>
    /// <param name="data">The rows, in any order.</param>
    /// <param name="testStart">The test set begins with rows of this time, in Unix seconds.</param>
    /// <param name="validationStart">The validation set begins with rows of this time, in Unix seconds; null for no such part.</param>
    /// <param name="timestampColumnName">The time of a row: Unix seconds (Int64) or DateTime.</param>
    public static TimeSplit SplitByTime(
        this DataOperationsCatalog catalog, IDataView data, long testStart, long? validationStart = null, string timestampColumnName = "Timestamp")
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(data);
        return TimeSplit.ByInstants(MLNetInternals.EnvironmentOf(catalog), data, timestampColumnName, testStart, validationStart);
    }

    /// <summary>
    /// Adds newer events to every BehaviorSequence and RunningRate of a model: what has happened since it was trained, or the whole log where
    /// the model was saved without it. Of what is appended, each of the transformers shows all or nothing to a prediction made meanwhile. Of
    /// calls at the same time, one waits for the other.
    /// </summary>
    /// <param name="model">A fitted or loaded pipeline, or one of its transformers.</param>
    /// <param name="events">Events with the columns of the logs that the transformers were fitted on.</param>
    /// <exception cref="ArgumentException">Nothing in the model takes events; or a column is missing or has the wrong type.</exception>
    /// <exception cref="InvalidOperationException">
    /// An event is older than the latest of its user, or its time is negative. Nothing has been added to any transformer then.
    /// </exception>
    public static void AppendEvents(this ITransformer model, IDataView events)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(events);
        IEventAppender[] appenders = Parts(model).OfType<IEventAppender>().Distinct().ToArray();
        if (appenders.Length == 0)
            throw new ArgumentException("The model has no BehaviorSequence or RunningRate to append events to.", nameof(model));
        EventLog.AppendTo(appenders, events);

        static IEnumerable<ITransformer> Parts(ITransformer part) => part is IEnumerable<ITransformer> chain ? chain.SelectMany(Parts) : [part];
    }

    /// <summary>
    /// Evaluates predicted click-through rates: how well they rank (AUC, GAUC, NDCG, MRR) and how true they are (log loss, calibration).
    /// </summary>
    /// <remarks>
    /// Reads the view once and holds 8 bytes per row, 16 where both <paramref name="groupColumnName"/> and
    /// <paramref name="rowGroupColumnName"/> are given; up to three times as much while a view is read that does not know its number of
    /// rows (<see cref="IDataView.GetRowCount"/>). To that come 1 MB for the reliability table and, for each group, some 90 bytes
    /// (200 and its characters where groups are text).
    /// </remarks>
    /// <param name="catalog">The catalog: <c>mlContext.Ranking</c>.</param>
    /// <param name="data">Scored rows; those without a label (NaN) are left out.</param>
    /// <param name="labelColumnName">The label: a Boolean, or a Single that is 0 or 1.</param>
    /// <param name="scoreColumnName">The score, a Single: higher means more likely clicked.</param>
    /// <param name="probabilityColumnName">The predicted probability of a click, a Single. Null leaves out all but what ranks.</param>
    /// <param name="groupColumnName">
    /// What GAUC groups by, such as the user: a key, a whole number or text, missing ones a group of their own. Null leaves GAUC out.
    /// </param>
    /// <param name="rowGroupColumnName">
    /// Which rows were ranked together, such as the request: a key, a whole number or text. They need not be consecutive. Null leaves NDCG
    /// and MRR out.
    /// </param>
    /// <param name="truncationLevel">How many rows, from the top of each list, NDCG looks at.</param>
    /// <param name="numberOfBins">How many bins the reliability table has, at most.</param>
    /// <exception cref="ArgumentOutOfRangeException">
    /// A column is missing or has the wrong type, or <paramref name="truncationLevel"/> or <paramref name="numberOfBins"/> is below 1.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// A row with a label has NaN as score or probability, or a probability outside 0 to 1; or a label is neither 0 nor 1.
    /// </exception>
    public static CtrMetrics EvaluateCtr(
        this RankingCatalog catalog,
        IDataView data,
        string labelColumnName = "Label",
        string scoreColumnName = "Score",
        string? probabilityColumnName = "Probability",
        string? groupColumnName = null,
        string? rowGroupColumnName = null,
        int truncationLevel = 10,
        int numberOfBins = 10)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(data);
        ArgumentOutOfRangeException.ThrowIfLessThan(truncationLevel, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(numberOfBins, 1);
        var evaluator = new CtrEvaluator(
            labelColumnName, scoreColumnName, probabilityColumnName, groupColumnName, rowGroupColumnName, truncationLevel, numberOfBins);
        return evaluator.Evaluate(MLNetInternals.EnvironmentOf(catalog.Trainers), data);
    }
}
