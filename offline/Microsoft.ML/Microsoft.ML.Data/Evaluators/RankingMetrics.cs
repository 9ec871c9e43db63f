namespace Microsoft.ML.Data;

/// <summary>How good the order by score is, as means over the groups.</summary>
public sealed class RankingMetrics
{
    internal RankingMetrics(double[] dcg, double[] ndcg)
    {
        DiscountedCumulativeGains = dcg;
        NormalizedDiscountedCumulativeGains = ndcg;
    }

    /// <summary>
    /// At index N-1 the sum over the first N rows of the gain of the label, divided by the natural logarithm of the row's rank plus 1.
    /// </summary>
    public IReadOnlyList<double> DiscountedCumulativeGains { get; }

    /// <summary>The gains as shares of those of the best order.</summary>
    public IReadOnlyList<double> NormalizedDiscountedCumulativeGains { get; }
}

public sealed class RankingEvaluatorOptions
{
    /// <summary>To how many rows of a group the gains are summed up.</summary>
    public int DcgTruncationLevel = 3;

    /// <summary>The gains of the labels 0, 1 and so on, separated by commas.</summary>
    public string LabelGains = "0,3,7,15,31";

    public RankingEvaluatorOptions()
    {
    }
}
