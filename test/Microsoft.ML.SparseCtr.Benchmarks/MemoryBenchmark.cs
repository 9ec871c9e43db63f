using System.Diagnostics;
using Microsoft.ML.Data;
using static System.FormattableString;

namespace Microsoft.ML.SparseCtr.Benchmarks;

/// <summary>Watches the memory of a long training: what a step leaves behind, ten thousand steps make visible.</summary>
internal static class MemoryBenchmark
{
    private const int Steps = 10_000, BatchSize = 8, HistoryLength = 30;
    private const uint Items = 1_000;

    private sealed class Row
    {
        public bool Label { get; set; }
        public long Timestamp { get; set; }

        [KeyType(Items)]
        public uint Item { get; set; }

        [VectorType, KeyType(Items)]
        public uint[] HistoryItem { get; set; } = [];

        [VectorType]
        public long[] HistoryTimestamp { get; set; } = [];
    }

    public static void Run()
    {
        var mlContext = new MLContext(seed: 1);
        IDataView rows = mlContext.Data.LoadFromEnumerable(Rows());
        var options = new SparseCtrTrainer.Options { NumberOfEpochs = 1, ValidationFraction = 0, BatchSize = BatchSize, ShufflePoolSize = 1 };
        Console.WriteLine(Invariant($"memory: resident while training {Steps:N0} steps of {BatchSize} rows with up to {HistoryLength} events"));
        using CtrTransformer model = mlContext.Ranking.Trainers.SparseCtr(options, new MemoryReport()).Fit(rows);
    }

    private static IEnumerable<Row> Rows()
    {
        var random = new Random(1);
        for (int i = 0; i < Steps * BatchSize; i++)
        {
            int events = random.Next(HistoryLength + 1);
            yield return new Row
            {
                Label = random.Next(2) == 0,
                Timestamp = 1_000_000 + i,
                Item = 1 + (uint)random.Next((int)Items),
                HistoryItem = Enumerable.Range(0, events).Select(_ => 1 + (uint)random.Next((int)Items)).ToArray(),
                HistoryTimestamp = Enumerable.Range(0, events).Select(event_ => 1_000_000L + i - 60 * (events - event_)).ToArray(),
            };
        }
    }

    private sealed class MemoryReport : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value)
        {
            if (value.EpochCompleted || value.Step % 1_000 != 0)
                return;
            using var process = Process.GetCurrentProcess();
            double resident = process.WorkingSet64 / 1e6, managed = GC.GetTotalMemory(forceFullCollection: true) / 1e6;
            Console.WriteLine(Invariant($"  after {value.Step,6:N0} steps {resident,7:F1} MB resident, {managed,6:F1} MB managed"));
        }
    }
}
