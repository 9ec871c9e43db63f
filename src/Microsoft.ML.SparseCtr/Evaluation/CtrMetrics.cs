using System.Globalization;

namespace Microsoft.ML.SparseCtr;

/// <summary>How well click-through rates were predicted. A value that the data leaves undefined is NaN.</summary>
public sealed class CtrMetrics
{
    internal CtrMetrics(float[] scores, float[] probabilities, bool[] labels, ulong[]? groups)
    {
        NumberOfRows = labels.Length;
        NumberOfClicks = labels.Count(label => label);
        AreaUnderRocCurve = RocCurve.Area(scores, labels);
        LogLoss = MeanLogLoss(probabilities, labels);
        (GroupAreaUnderRocCurve, NumberOfGroups, NumberOfUndefinedGroups) = groups is null ? (double.NaN, 0, 0) : OverGroups(scores, labels, groups);
    }

    /// <summary>Rows evaluated.</summary>
    public long NumberOfRows { get; }

    /// <summary>Rows with a click.</summary>
    public long NumberOfClicks { get; }

    /// <summary>AUC: the probability that a click scores above a non-click, ties counted half. NaN without clicks or without non-clicks.</summary>
    public double AreaUnderRocCurve { get; }

    /// <summary>
    /// GAUC: the AUC within each group (such as a user), averaged with the groups' rows as weights; groups with clicks only or non-clicks only
    /// are left out. NaN where no group column was given, or no group has both.
    /// </summary>
    public double GroupAreaUnderRocCurve { get; }

    /// <summary>Groups in the data.</summary>
    public int NumberOfGroups { get; }

    /// <summary>Groups left out of <see cref="GroupAreaUnderRocCurve"/>, which have clicks only or non-clicks only.</summary>
    public int NumberOfUndefinedGroups { get; }

    /// <summary>Mean negative log likelihood of the labels, in nats. NaN without rows.</summary>
    public double LogLoss { get; }

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"AUC {AreaUnderRocCurve:F4}, GAUC {GroupAreaUnderRocCurve:F4} ({NumberOfGroups - NumberOfUndefinedGroups} of {NumberOfGroups} groups), log loss {LogLoss:F4}, {NumberOfRows} rows, {NumberOfClicks} clicks");

    private static double MeanLogLoss(float[] probabilities, bool[] labels)
    {
        // A Single cannot be nearer to 1 than this; without the bound one saturated row would make the mean infinite.
        const double least = 1e-7;
        double sum = 0;
        for (int i = 0; i < labels.Length; i++)
            sum -= Math.Log(Math.Clamp(labels[i] ? probabilities[i] : 1.0 - probabilities[i], least, 1));
        return sum / labels.Length;
    }

    private static (double Gauc, int Groups, int Undefined) OverGroups(float[] scores, bool[] labels, ulong[] groups)
    {
        int[] order = Enumerable.Range(0, labels.Length).ToArray();
        Array.Sort(groups.ToArray(), order);
        double sum = 0, weight = 0;
        int count = 0, undefined = 0;
        for (int start = 0, end; start < order.Length; start = end)
        {
            for (end = start + 1; end < order.Length && groups[order[end]] == groups[order[start]];)
                end++;
            int[] rows = order[start..end];
            double area = RocCurve.Area(rows.Select(row => scores[row]).ToArray(), rows.Select(row => labels[row]).ToArray());
            count++;
            if (double.IsNaN(area))
                undefined++;
            else
                (sum, weight) = (sum + area * rows.Length, weight + rows.Length);
        }
        return (sum / weight, count, undefined);
    }
}
