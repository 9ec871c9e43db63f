namespace Microsoft.ML.SparseCtr;

/// <summary>The receiver operating characteristic of scores against labels.</summary>
internal static class RocCurve
{
    /// <summary>
    /// The area under the curve: the probability that a click scores above a non-click, ties counted half.
    /// </summary>
    /// <returns>NaN where a class is missing, or a score is NaN.</returns>
    public static double Area(ReadOnlySpan<float> scores, ReadOnlySpan<bool> labels)
    {
        var rows = new RankedRows(scores.Length);
        for (int i = 0; i < scores.Length; i++)
        {
            if (float.IsNaN(scores[i]))
                return double.NaN;
            rows.Add(scores[i], labels[i]);
        }
        return rows.SortAsOneList().AreaUnderRocCurve();
    }
}
