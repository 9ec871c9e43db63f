using System.Diagnostics;
using Microsoft.ML.Data;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr.Benchmarks;

/// <summary>Training steps as users make them: by Fit, rows being read, packed and copied to the device while the network trains on those before.</summary>
internal static class FitSteps
{
    /// <summary>What <see cref="Measurements"/> is asked for.</summary>
    public const string Name = "fit-step";

    private const int Skipped = 10, Counted = 20;

    private sealed class Row
    {
        public bool Label { get; set; }
        public long Timestamp { get; set; }

        [KeyType(1_682)]
        public uint Item { get; set; }

        [KeyType(943)]
        public uint User { get; set; }

        [VectorType, KeyType(1_682)]
        public uint[] HistoryItem { get; set; } = [];

        [VectorType, KeyType(5)]
        public uint[] HistoryRating { get; set; } = [];

        [VectorType]
        public long[] HistoryTimestamp { get; set; } = [];
    }

    /// <summary>Milliseconds of a step, on average over some, after others that are not counted.</summary>
    /// <param name="requests">The batch of every step.</param>
    /// <param name="sizes">The network that is trained on it.</param>
    /// <param name="device">Where it is trained.</param>
    public static double Milliseconds(Request[] requests, SparseCtrTrainer.Options sizes, Device device)
    {
        var mlContext = new MLContext(seed: 1) { GpuDeviceId = device.type == DeviceType.CUDA ? 0 : null };
        Row[] batch = requests.Select(RowOf).ToArray();
        IDataView rows = mlContext.Data.LoadFromEnumerable(Enumerable.Repeat(batch, Skipped + Counted).SelectMany(each => each));
        var clock = new StepClock(device);
        SparseCtrTrainer.Options options = sizes with
        {
            UserColumnNames = [nameof(Row.User)],
            HistoryColumnNames = [nameof(Row.HistoryRating)],
            NumberOfEpochs = 1,
            ValidationFraction = 0,
            BatchSize = batch.Length,
            ShufflePoolSize = batch.Length,
            RequestsPerHistory = 1,
        };
        using CtrTransformer model = mlContext.Ranking.Trainers.SparseCtr(options, clock).Fit(rows);
        return clock.Milliseconds;
    }

    private static Row RowOf(Request request)
    {
        Impression impression = request.Impressions[0];
        return new Row
        {
            Label = impression.Label == 1,
            Timestamp = impression.Timestamp,
            Item = (uint)impression.SequenceKeys[0],
            User = (uint)impression.UserKeys[0][0],
            HistoryItem = Array.ConvertAll(request.HistoryKeys[0], key => (uint)key),
            HistoryRating = Array.ConvertAll(request.HistoryKeys[1], key => (uint)key),
            HistoryTimestamp = request.HistoryTimestamps,
        };
    }

    private sealed class StepClock(Device device) : IProgress<TrainingProgress>
    {
        private long _begin;

        public double Milliseconds { get; private set; }

        public void Report(TrainingProgress value)
        {
            if (value.EpochCompleted || value.Step is not (Skipped or Skipped + Counted))
                return;
            if (device.type == DeviceType.CUDA)
                cuda.synchronize();
            if (value.Step == Skipped)
                _begin = Stopwatch.GetTimestamp();
            else
                Milliseconds = Stopwatch.GetElapsedTime(_begin).TotalMilliseconds / Counted;
        }
    }
}
