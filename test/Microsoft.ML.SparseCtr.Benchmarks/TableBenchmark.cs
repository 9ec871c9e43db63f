using System.Diagnostics;
using Microsoft.ML.Data;
using static System.FormattableString;

namespace Microsoft.ML.SparseCtr.Benchmarks;

/// <summary>Trains on the same clicks with vocabularies of ten thousand and ten million items, of which some are far more common than others.</summary>
internal static class TableBenchmark
{
    private const int WarmUpSteps = 50, Steps = 1_000, BatchSize = 64, HistoryLength = 50;

    private sealed class Row
    {
        public bool Label { get; set; }
        public long Timestamp { get; set; }
        public uint Item { get; set; }

        [VectorType]
        public uint[] HistoryItem { get; set; } = [];

        [VectorType]
        public long[] HistoryTimestamp { get; set; } = [];
    }

    public static void Run()
    {
        double small = MillisecondsPerStep(10_000), large = MillisecondsPerStep(10_000_000), smallAgain = MillisecondsPerStep(10_000);
        small = (small + smallAgain) / 2;
        Console.WriteLine(Invariant($"tables: a training step of {BatchSize} rows with {HistoryLength} events takes {small:F1} ms with 10,000 items, {large:F1} ms with 10,000,000: {large / small:F2} times as long"));
    }

    private static double MillisecondsPerStep(uint items)
    {
        var mlContext = new MLContext(seed: 1);
        var definition = SchemaDefinition.Create(typeof(Row));
        definition["Item"].ColumnType = new KeyDataViewType(typeof(uint), items);
        definition["HistoryItem"].ColumnType = new VectorDataViewType(new KeyDataViewType(typeof(uint), items));
        IDataView rows = mlContext.Data.LoadFromEnumerable(Rows(items), definition);
        var clock = new Stopwatch();
        var options = new SparseCtrTrainer.Options { NumberOfEpochs = 1, ValidationFraction = 0, BatchSize = BatchSize, ShufflePoolSize = 1 };
        using CtrTransformer model = mlContext.Ranking.Trainers.SparseCtr(options, new StepClock(clock)).Fit(rows);
        return clock.Elapsed.TotalMilliseconds / Steps;
    }

    private static IEnumerable<Row> Rows(uint items)
    {
        var random = new Random(1);
        for (int i = 0; i < (WarmUpSteps + Steps) * BatchSize; i++)
        {
            yield return new Row
            {
                Label = random.Next(2) == 0,
                Timestamp = 1_000_000 + i,
                Item = Item(),
                HistoryItem = Enumerable.Range(0, HistoryLength).Select(_ => Item()).ToArray(),
                HistoryTimestamp = Enumerable.Range(0, HistoryLength).Select(event_ => 1_000_000L + i - 60 * (HistoryLength - event_)).ToArray(),
            };
        }

        // The share of the k most common items grows with the logarithm of k, as Zipf's law has it.
        uint Item() => (uint)Math.Exp(random.NextDouble() * Math.Log(items));
    }

    /// <summary>Runs from the end of the warm-up to that of the last step.</summary>
    private sealed class StepClock(Stopwatch clock) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value)
        {
            if (value.EpochCompleted)
                return;
            if (value.Step == WarmUpSteps)
                clock.Start();
            if (value.Step == WarmUpSteps + Steps)
                clock.Stop();
        }
    }
}
