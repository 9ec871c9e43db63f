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
        => catalog.SparseCtr(new SparseCtrTrainer.Options
        {
            LabelColumnName = labelColumnName,
            ItemColumnName = itemColumnName,
            TimestampColumnName = timestampColumnName,
            HistoryItemColumnName = historyItemColumnName,
            HistoryTimestampColumnName = historyTimestampColumnName,
            HistoryColumnNames = historyColumnNames ?? [],
            CandidateColumnNames = candidateColumnNames ?? [],
            UserColumnNames = userColumnNames ?? [],
            NumericColumnNames = numericColumnNames ?? [],
            RowGroupColumnName = rowGroupColumnName,
        });

    /// <summary>
    /// Creates a trainer that predicts click-through rates from long histories by SparseCTR (arXiv:2601.17836), with all its options.
    /// </summary>
    /// <param name="catalog">The catalog: <c>mlContext.Ranking.Trainers</c>.</param>
    /// <param name="options">Columns, sizes and training; copied by no one, so do not change them before Fit has returned.</param>
    /// <param name="progress">Told after every optimizer step, on the training thread.</param>
    /// <param name="cancellationToken">Cancels Fit, between two optimizer steps.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range: the parameter's name is the option's.</exception>
    public static SparseCtrTrainer SparseCtr(
        this RankingCatalog.RankingTrainers catalog,
        SparseCtrTrainer.Options options,
        IProgress<TrainingProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(options);
        return new SparseCtrTrainer(MLNetInternals.EnvironmentOf(catalog), options, progress, cancellationToken);
    }

    /// <summary>
    /// Evaluates predicted click-through rates: AUC, GAUC and log loss. Reads the view once and holds 9 bytes per row (17 with groups).
    /// </summary>
    /// <param name="catalog">The catalog: <c>mlContext.Ranking</c>.</param>
    /// <param name="data">Scored rows; those without a label are left out.</param>
    /// <param name="labelColumnName">The label: a Boolean, or a Single that is 0 or 1.</param>
    /// <param name="scoreColumnName">The score, a Single: higher means more likely clicked.</param>
    /// <param name="probabilityColumnName">The predicted probability of a click, a Single.</param>
    /// <param name="groupColumnName">What GAUC groups by, such as the user: a key, a whole number or text. Null leaves GAUC out.</param>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or has the wrong type.</exception>
    public static CtrMetrics EvaluateCtr(
        this RankingCatalog catalog,
        IDataView data,
        string labelColumnName = "Label",
        string scoreColumnName = "Score",
        string probabilityColumnName = "Probability",
        string? groupColumnName = null)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(data);
        return CtrEvaluator.Evaluate(
            MLNetInternals.EnvironmentOf(catalog.Trainers), data, labelColumnName, scoreColumnName, probabilityColumnName, groupColumnName);
    }
}
