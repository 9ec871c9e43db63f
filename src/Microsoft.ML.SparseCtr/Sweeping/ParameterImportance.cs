namespace Microsoft.ML.SparseCtr;

/// <summary>The share of a metric's variance over trials that one parameter alone explains: 0 for none of it, 1 for all.</summary>
/// <param name="Share">The share; 0 where parameter or metric is the same in all trials.</param>
/// <param name="ByChance">What a parameter that does nothing would explain on average: few trials say little.</param>
internal readonly record struct ParameterImportance(double Share, double ByChance)
{
    /// <summary>Of a number: the squared rank correlation (Spearman), which any rising or falling dependence gets its due from.</summary>
    public static ParameterImportance OfNumber(double[] parameter, double[] metric)
    {
        double[] x = Ranks(parameter), y = Ranks(metric);
        double meanX = x.Average(), meanY = y.Average();
        double covariance = x.Zip(y, (a, b) => (a - meanX) * (b - meanY)).Sum();
        return Of(covariance * covariance, SumOfSquares(x) * SumOfSquares(y), groups: 2, parameter.Length);
    }

    /// <summary>Of a choice: the correlation ratio eta squared, the variance between the choices' means over all variance.</summary>
    public static ParameterImportance OfChoice(string[] parameter, double[] metric)
    {
        double mean = metric.Average();
        double[][] groups = parameter.Zip(metric).GroupBy(pair => pair.First, pair => pair.Second).Select(group => group.ToArray()).ToArray();
        double between = groups.Sum(group => group.Length * (group.Average() - mean) * (group.Average() - mean));
        return Of(between, SumOfSquares(metric), groups.Length, parameter.Length);
    }

    private static ParameterImportance Of(double explained, double all, int groups, int trials)
        => new(all > 0 ? Math.Min(1, explained / all) : 0, trials > 1 ? (groups - 1.0) / (trials - 1) : 1);

    private static double SumOfSquares(double[] values)
    {
        double mean = values.Average();
        // A mean of equal values need not be exactly theirs.
        return values.Max() == values.Min() ? 0 : values.Sum(value => (value - mean) * (value - mean));
    }

    /// <summary>Ranks from 1; equal values share the mean of theirs.</summary>
    private static double[] Ranks(double[] values)
    {
        Dictionary<double, double> ranks = values.Order().Select((value, place) => (value, place)).GroupBy(pair => pair.value)
            .ToDictionary(ties => ties.Key, ties => ties.Average(pair => pair.place + 1.0));
        return values.Select(value => ranks[value]).ToArray();
    }
}
