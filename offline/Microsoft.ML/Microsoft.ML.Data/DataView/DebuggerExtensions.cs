using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML;

/// <summary>Shows the first rows of data, for debugging and exploring.</summary>
public static class DebuggerExtensions
{
    private const int DefaultMaxRows = 100;

    public static DataDebuggerPreview Preview(this IDataView data, int maxRows = DefaultMaxRows)
    {
        Contracts.CheckValue(null, data, nameof(data));
        Contracts.CheckUserArg(null, maxRows >= 0, nameof(maxRows), "Must be non-negative");
        return new DataDebuggerPreview(data, maxRows);
    }

    /// <summary>What the transformer makes of the data.</summary>
    public static DataDebuggerPreview Preview(this ITransformer transformer, IDataView data, int maxRows = DefaultMaxRows)
    {
        Contracts.CheckValue(null, transformer, nameof(transformer));
        return transformer.Transform(data).Preview(maxRows);
    }

    /// <summary>What the estimator, fitted on the first rows, makes of the data.</summary>
    public static DataDebuggerPreview Preview(this IEstimator<ITransformer> estimator, IDataView data, int maxRows = DefaultMaxRows,
        int maxTrainingRows = DefaultMaxRows)
    {
        Contracts.CheckValue(null, estimator, nameof(estimator));
        Contracts.CheckValue(null, data, nameof(data));
        return estimator.Fit(new RowRangeDataView(data, first: 0, maxTrainingRows)).Preview(data, maxRows);
    }
}
