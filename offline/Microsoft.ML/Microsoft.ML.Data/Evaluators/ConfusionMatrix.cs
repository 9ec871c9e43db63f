using System.Globalization;
using System.Text;

namespace Microsoft.ML.Data;

/// <summary>How many rows of each class were predicted to be of each class. Class 0 is the positive one.</summary>
public sealed class ConfusionMatrix
{
    private static readonly string[] _classNames = ["positive", "negative"];

    internal ConfusionMatrix(double[][] counts)
    {
        Counts = counts;
        PerClassPrecision = [.. counts.Select((row, i) => Ratio(row[i], counts.Sum(other => other[i])))];
        PerClassRecall = [.. counts.Select((row, i) => Ratio(row[i], row.Sum()))];

        static double Ratio(double part, double all) => all > 0 ? part / all : 0;
    }

    public int NumberOfClasses => Counts.Count;

    /// <summary>The counts by actual class, and in each by predicted class.</summary>
    public IReadOnlyList<IReadOnlyList<double>> Counts { get; }

    public IReadOnlyList<double> PerClassPrecision { get; }

    public IReadOnlyList<double> PerClassRecall { get; }

    public double GetCountForClassPair(int predictedClassIndicatorIndex, int actualClassIndicatorIndex) =>
        Counts[actualClassIndicatorIndex][predictedClassIndicatorIndex];

    public string GetFormattedConfusionTable()
    {
        var table = new StringBuilder();
        double positives = Counts[0].Sum(), negatives = Counts[1].Sum();
        Line($"TEST POSITIVE RATIO:\t{positives / (positives + negatives):F4} ({positives:F1}/({positives:F1}+{negatives:F1}))");
        Line($"Confusion table");
        Line($"          ||======================");
        Line($"PREDICTED || {_classNames[0]} | {_classNames[1]} | Recall");
        Line($"TRUTH     ||======================");
        for (int i = 0; i < NumberOfClasses; i++)
            Line($" {_classNames[i]} || {Counts[i][0],8:N0} | {Counts[i][1],8:N0} | {PerClassRecall[i]:F4}");
        Line($"          ||======================");
        Line($"Precision || {PerClassPrecision[0],8:F4} | {PerClassPrecision[1],8:F4} |");
        return table.ToString();

        void Line(FormattableString line) => table.AppendLine(line.ToString(CultureInfo.InvariantCulture));
    }
}
