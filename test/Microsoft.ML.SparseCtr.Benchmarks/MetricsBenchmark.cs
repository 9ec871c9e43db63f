using System.Diagnostics;
using static System.FormattableString;

namespace Microsoft.ML.SparseCtr.Benchmarks;

/// <summary>Evaluates scored rows that come one by one, by user and by request, and watches the memory that this takes.</summary>
internal static class MetricsBenchmark
{
    private sealed class Row
    {
        public bool Label { get; set; }
        public float Score { get; set; }
        public float Probability { get; set; }
        public int User { get; set; }
        public int Request { get; set; }
    }

    public static void Run(int rows)
    {
        var mlContext = new MLContext(seed: 1);
        long before = GC.GetTotalMemory(forceFullCollection: true);
        using var peak = new PeakMemory();
        var clock = Stopwatch.StartNew();
        CtrMetrics metrics = mlContext.Ranking.EvaluateCtr(mlContext.Data.LoadFromEnumerable(Rows(rows)), groupColumnName: "User", rowGroupColumnName: "Request");
        double seconds = clock.Elapsed.TotalSeconds;
        Console.WriteLine(Invariant($"metrics: {rows:N0} rows, {metrics.NumberOfGroups:N0} users, {metrics.NumberOfLists:N0} requests: AUC {metrics.AreaUnderRocCurve:F4}, ")
            + Invariant($"{seconds:F1} s, {rows / seconds / 1e6:F2} million rows/s, {(peak.Stop() - before) / (double)rows:F1} bytes per row at the peak"));
    }

    private static IEnumerable<Row> Rows(int count)
    {
        var random = new Random(1);
        var row = new Row();
        for (int i = 0; i < count; i++)
        {
            double logit = 4 * random.NextDouble() - 4;
            row.Probability = (float)(1 / (1 + Math.Exp(-logit)));
            (row.Score, row.Label, row.User, row.Request) = ((float)logit, random.NextDouble() < row.Probability, i / 10 % 100_000, i / 10);
            yield return row;
        }
    }
}
