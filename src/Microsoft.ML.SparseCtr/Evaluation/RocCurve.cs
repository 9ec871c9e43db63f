namespace Microsoft.ML.SparseCtr;

/// <summary>The receiver operating characteristic of scores against labels.</summary>
internal static class RocCurve
{
    /// <summary>
    /// The area under the curve: the probability that a click scores above a non-click, ties counted half (the Mann-Whitney statistic).
    /// </summary>
    /// <returns>NaN where a class is missing, or a score is NaN.</returns>
    public static double Area(ReadOnlySpan<float> scores, ReadOnlySpan<bool> labels)
    {
        float[] sorted = scores.ToArray();
        var clicked = new bool[sorted.Length];
        labels.CopyTo(clicked);
        Array.Sort(sorted, clicked);
        if (sorted.Length > 0 && float.IsNaN(sorted[0]))
            return double.NaN;

        double pairsWon = 0, clicks = 0, nonClicks = 0;
        for (int start = 0, end; start < sorted.Length; start = end)
        {
            double tiedClicks = 0;
            for (end = start; end < sorted.Length && sorted[end] == sorted[start]; end++)
                tiedClicks += clicked[end] ? 1 : 0;
            double tiedNonClicks = end - start - tiedClicks;
            pairsWon += tiedClicks * (nonClicks + tiedNonClicks / 2);
            clicks += tiedClicks;
            nonClicks += tiedNonClicks;
        }
        return pairsWon / (clicks * nonClicks);
    }
}
