using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.SparseCtr.Interop;
using TorchSharp;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// Trains SparseCTR (arXiv:2601.17836): learns from a user's long, timestamped history how likely an impression is to be clicked.
/// </summary>
/// <remarks>
/// Input columns are named by <see cref="Options"/>. The transformer adds Score (the logit, Single), Probability (Single) and
/// PredictedLabel (Boolean: whether the probability is above one half). Create it with
/// <see cref="SparseCtrCatalog.SparseCtr(RankingCatalog.RankingTrainers, Options, IProgress{TrainingProgress}, CancellationToken)"/>.
/// </remarks>
public sealed partial class SparseCtrTrainer : IEstimator<SparseCtrTransformer>
{
    private readonly IHost _host;
    private readonly Options _options;
    private readonly IProgress<TrainingProgress>? _progress;
    private readonly CancellationToken _cancellationToken;

    internal SparseCtrTrainer(
        IHostEnvironment environment, Options options, IProgress<TrainingProgress>? progress, CancellationToken cancellationToken)
    {
        _host = environment.Register(nameof(SparseCtrTrainer));
        options.Validate(_host);
        (_options, _progress, _cancellationToken) = (options, progress, cancellationToken);
    }

    /// <summary>
    /// Trains on a view; the latest rows, as many as <see cref="Options.ValidationFraction"/> says, are kept for validation.
    /// </summary>
    /// <inheritdoc cref="Fit(IDataView, IDataView)"/>
    public SparseCtrTransformer Fit(IDataView input) => Fit(input, null);

    /// <summary>Trains on a view.</summary>
    /// <param name="trainData">The rows to train on. It is read once to count and to standardize, and once per epoch.</param>
    /// <param name="validationData">
    /// Rows to validate on, with the same columns and key mappings: the weights of the epoch with the best AUC on them are kept. Null keeps
    /// the latest of the training rows for that, as many as <see cref="Options.ValidationFraction"/> says.
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or has the wrong type: the message names it and what was expected.</exception>
    /// <exception cref="InvalidOperationException">
    /// There are no rows to train on; or a row's history is not in ascending order, later than the row, or of unequal lengths; or columns that
    /// share embeddings have different keys; or training diverged.
    /// </exception>
    /// <exception cref="OperationCanceledException">The token, or ML.NET, canceled the training.</exception>
    public SparseCtrTransformer Fit(IDataView trainData, IDataView? validationData)
    {
        ArgumentNullException.ThrowIfNull(trainData);
        CheckColumns(MLNetInternals.ShapeOf(trainData.Schema));
        if (validationData is not null)
            CheckColumns(MLNetInternals.ShapeOf(validationData.Schema));

        using IChannel channel = _host.Start("Training");
        SparseCtrConfig config = KeyBinding.Bind(_options.ToConfig(), trainData.Schema, _options.EmbeddingOptimizer);
        if (validationData is not null)
            KeyBinding.Check(config, validationData.Schema);
        int seed = _options.Seed ?? MLNetInternals.SeedOf(_host) ?? Random.Shared.Next();
        torch.Device device = Devices.Choose(_host, channel);

        var run = new TrainingRun(_host, channel, _options, config, seed, device, _progress, _cancellationToken);
        (SparseCtrConfig trained, SparseCtrNetwork network) = run.Train(trainData, validationData);
        return new SparseCtrTransformer(_host, trained, network);
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
        foreach (InputColumn column in InputColumn.Of(_options.ToConfig()))
            column.Check(_host, schema);
    }
}
