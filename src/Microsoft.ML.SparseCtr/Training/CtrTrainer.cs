using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.SparseCtr.Interop;
using TorchSharp;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// Trains a network that predicts click-through rates from histories: what all trainers of this library do alike. Which network it is, its options say.
/// </summary>
/// <remarks>
/// Input columns are named by <see cref="CtrTrainerOptions"/>. The transformer adds Score (the logit, Single), Probability (Single) and
/// PredictedLabel (Boolean: whether the probability is above one half).
/// </remarks>
public abstract class CtrTrainer : IEstimator<CtrTransformer>
{
    /// <summary>A host keeps the seed and the GPU that its environment had when it was made; the environment's own are those at Fit.</summary>
    private readonly IHostEnvironment _environment;

    private readonly IHost _host;
    private readonly CtrTrainerOptions _options;
    private readonly IProgress<TrainingProgress>? _progress;
    private readonly CancellationToken _cancellationToken;

    private protected CtrTrainer(
        IHostEnvironment environment, CtrTrainerOptions options, IProgress<TrainingProgress>? progress, CancellationToken cancellationToken)
    {
        _environment = environment;
        _host = environment.Register(GetType().Name);
        options.Validate(_host);
        // A copy: what the caller does with the options later is nothing to the trainer and its models.
        _options = options with
        {
            CandidateColumnNames = [.. options.CandidateColumnNames],
            UserColumnNames = [.. options.UserColumnNames],
            NumericColumnNames = [.. options.NumericColumnNames],
            HistoryColumnNames = [.. options.HistoryColumnNames],
        };
        (_progress, _cancellationToken) = (progress, cancellationToken);
    }

    internal CtrTrainerOptions TrainerOptions => _options;

    /// <summary>The trial of a sweep that it trains for; null for none.</summary>
    internal RunningTrial? Trial { get; set; }

    /// <summary>
    /// Trains on a view; the latest rows, as many as <see cref="CtrTrainerOptions.ValidationFraction"/> says, are kept for validation.
    /// </summary>
    /// <inheritdoc cref="Fit(IDataView, IDataView)"/>
    public CtrTransformer Fit(IDataView input) => Fit(input, null);

    /// <summary>Trains on a view.</summary>
    /// <param name="trainData">The rows to train on. It is read once to count and to standardize, and in each epoch once to train and, where its latest rows validate, once more.</param>
    /// <param name="validationData">
    /// Rows to validate on, with the same columns and key mappings: the weights of the epoch with the best AUC on them are kept. Null keeps
    /// the latest of the training rows for that, as many as <see cref="CtrTrainerOptions.ValidationFraction"/> says.
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or has the wrong type: the message names it and what was expected.</exception>
    /// <exception cref="InvalidOperationException">
    /// There are no rows to train on; or a row's history is not in ascending order, later than the row, or of unequal lengths; or columns that
    /// share embeddings have different keys; or training diverged; or <see cref="CtrTrainerOptions.CheckpointPath"/> is of another training: the message
    /// says what differs; or the GPU that MLContext.GpuDeviceId names is not there, and MLContext.FallbackToCpu is not set; or there is not enough memory:
    /// the message says which options to lower.
    /// </exception>
    /// <exception cref="FormatException"><see cref="CtrTrainerOptions.CheckpointPath"/> is no checkpoint, or a damaged one.</exception>
    /// <exception cref="IOException">A checkpoint cannot be written; the one before is left as it is.</exception>
    /// <exception cref="OperationCanceledException">The token, or ML.NET, canceled the training.</exception>
    public CtrTransformer Fit(IDataView trainData, IDataView? validationData)
    {
        ArgumentNullException.ThrowIfNull(trainData);
        CheckColumns(MLNetInternals.ShapeOf(trainData.Schema));
        if (validationData is not null)
            CheckColumns(MLNetInternals.ShapeOf(validationData.Schema));

        using IChannel channel = _host.Start("Training");
        if (HistoryWindow.Of(trainData.Schema[_options.HistoryTimestampColumnName])?.ProblemWith(_options) is { } problem)
            channel.Warning(MessageSensitivity.None, problem);
        CtrConfig config = KeyBinding.Bind(CtrConfig.Of(_options), trainData.Schema);
        if (validationData is not null)
            KeyBinding.Check(config, validationData.Schema);
        int? seed = _options.Seed ?? MLNetInternals.SeedOf(_environment);
        torch.Device device = Devices.Choose(_environment, channel);
        Checkpoint? checkpoint = _options.CheckpointPath is { } path ? new Checkpoint(path) : null;

        var run = new TrainingRun(_host, channel, config, seed, device, _progress ?? Trial?.Progress, Trial, checkpoint, _cancellationToken);
        CtrTransformer model;
        try
        {
            using CtrNetwork network = run.Train(trainData, validationData);
            model = new CtrTransformer(_host, ScoringNetwork.Create(network.Config, network.CopyWeights()));
        }
        catch (Exception exception) when (OutOfMemory.IsReasonOf(exception))
        {
            throw _host.Process(OutOfMemory.Explain(exception, _options, device));
        }
        // A trial is not finished before it is measured and saved.
        if (Trial is null)
            checkpoint?.Delete();
        return model;
    }

    /// <inheritdoc/>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        CheckColumns(inputSchema);
        return inputSchema.WithColumns(ScoreColumns.Shapes());
    }

    private void CheckColumns(SchemaShape schema)
    {
        new InputColumn("label", _options.LabelColumnName, ColumnContent.Label).Check(_host, schema);
        if (_options.RowGroupColumnName is not null)
            new InputColumn("group", _options.RowGroupColumnName, ColumnContent.Group).Check(_host, schema);
        foreach (InputColumn column in InputColumn.Of(CtrConfig.Of(_options)))
            column.Check(_host, schema);
    }
}
