using System.Diagnostics;
using static System.FormattableString;

namespace Microsoft.ML.SparseCtr.Benchmarks;

/// <summary>What scoring a request costs each network as its history grows, on one thread.</summary>
internal static class ScoringBenchmark
{
    private const int Candidates = 10;

    private static readonly CtrTrainerOptions[] s_networks =
    [
        new EtaTrainer.Options { ModelDimension = 64, HistoryLength = 100_000 },
        new TargetAttentionTrainer.Options { ModelDimension = 64, HistoryLength = 100_000 },
        new SparseCtrTrainer.Options { ModelDimension = 64, NumberOfBlocks = 2, HistoryLength = 100_000 },
        new DenseAttentionTrainer.Options { ModelDimension = 64, NumberOfBlocks = 2, HistoryLength = 100_000 },
    ];

    public static void Run()
    {
        Console.WriteLine(Invariant($"scoring: milliseconds for one request of {Candidates} candidates, d = 64, blocks of self-attention 2, defaults otherwise, one thread"));
        Console.WriteLine("  events |      Eta | TargetAttention |   SparseCtr |  DenseAttention");
        foreach (int events in new[] { 100, 1_000, 10_000 })
        {
            Request request = BenchmarkRequests.Random(events, seed: 1);
            Impression shown = request.Impressions[0];
            request = request.With(Enumerable.Range(0, Candidates).Select(item => Showing(shown, item)).ToList());
            double[] times = s_networks.Select(options => Fastest(options, request)).ToArray();
            Console.WriteLine(Invariant($"{events,8:N0} | {times[0],8:F2} | {times[1],15:F2} | {times[2],11:F2} | {times[3],15:F2}"));
        }
    }

    private static Impression Showing(Impression shown, int item) => new()
    {
        SequenceKeys = [item + 1, .. shown.SequenceKeys[1..]],
        CandidateKeys = shown.CandidateKeys,
        UserKeys = shown.UserKeys,
        Numbers = shown.Numbers,
        Timestamp = shown.Timestamp,
        PastLength = shown.PastLength,
    };

    private static double Fastest(CtrTrainerOptions options, Request request)
    {
        CtrConfig config = BenchmarkRequests.Config with { Options = options };
        using CtrNetwork trained = options.CreateNetwork(config);
        ScoringNetwork network = ScoringNetwork.Create(config, trained.CopyWeights());
        var scores = new float[Candidates];
        double fastest = double.PositiveInfinity;
        long begin = Stopwatch.GetTimestamp();
        for (int i = 0; i < 3 || Stopwatch.GetElapsedTime(begin).TotalSeconds < 2; i++)
        {
            long start = Stopwatch.GetTimestamp();
            network.Score(request, scores);
            fastest = Math.Min(fastest, Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        }
        return fastest;
    }
}
