using System.Diagnostics;
using TorchSharp;
using static System.FormattableString;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr.Benchmarks;

/// <summary>What scoring a request costs each network as its history grows, on one thread, and how much of ETA's is the search.</summary>
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
        using var threads = new ThreadCount(1);
        using IDisposable noGradient = no_grad();
        Console.WriteLine(Invariant($"scoring: milliseconds for one request of {Candidates} candidates, d = 64, blocks of self-attention 2, defaults otherwise, one thread, without packing"));
        Console.WriteLine("  events |      Eta, of it the search | TargetAttention |   SparseCtr |  DenseAttention");
        foreach (int events in new[] { 100, 1_000, 10_000 })
        {
            Request request = BenchmarkRequests.Random(events, seed: 1);
            Impression shown = request.Impressions[0];
            request = request.With(Enumerable.Range(0, Candidates).Select(item => Showing(shown, item)).ToList());
            double[] times = s_networks.Select(options => Forward(options, request)).ToArray();
            Console.WriteLine(Invariant($"{events,8:N0} | {times[0],8:F2} {Search(request),18:F2} | {times[1],15:F2} | {times[2],11:F2} | {times[3],15:F2}"));
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

    private static double Forward(CtrTrainerOptions options, Request request) => Fastest(options, request, (network, batch) => network.forward(batch));

    private static double Search(Request request) => Fastest(s_networks[0], request, (network, batch) => ((EtaNetwork)network).Retrieve(batch));

    private static double Fastest(CtrTrainerOptions options, Request request, Action<CtrNetwork, PackedBatch> action)
    {
        using CtrNetwork network = options.CreateNetwork(BenchmarkRequests.Config with { Options = options });
        network.eval();
        using PackedBatch batch = PackedBatch.Create([request], network, CPU);
        double fastest = double.PositiveInfinity;
        long begin = Stopwatch.GetTimestamp();
        for (int i = 0; i < 3 || Stopwatch.GetElapsedTime(begin).TotalSeconds < 2; i++)
        {
            using DisposeScope scope = NewDisposeScope();
            long start = Stopwatch.GetTimestamp();
            action(network, batch);
            fastest = Math.Min(fastest, Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        }
        return fastest;
    }
}
