using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>Scorers of random weights, and the requests of <see cref="TestRequests"/> as they take them.</summary>
internal static class RandomScorer
{
    /// <param name="options">The network.</param>
    /// <param name="seed">Of its weights.</param>
    /// <param name="change">Changes some of them, by name.</param>
    public static CtrScorer Of(CtrTrainerOptions options, int seed = 1, Action<string, Tensor>? change = null)
    {
        CtrConfig config = TestRequests.Config.With(options);
        using CtrNetwork network = TestRequests.Network(config, seed, ScalarType.Float32);
        using (no_grad())
        {
            foreach ((string name, Parameter weight) in network.named_parameters())
                change?.Invoke(name, weight);
        }
        return CtrScorer.Of(new CtrTransformer(new MLContext(), ScoringNetwork.Create(config, network.CopyWeights())));
    }

    public static CtrHistory History(Request request, Range? events = null)
    {
        Range range = events ?? Range.All;
        return new(request.HistoryTimestamps[range], [.. request.HistoryKeys.Select(keys => keys[range])]);
    }

    /// <summary>Asserts that scoring allocates nothing once memory has grown to what it takes.</summary>
    public static void AssertAllocatesNothing(Action score)
    {
        Run(rounds: 200);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Run(rounds: 100);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        void Run(int rounds)
        {
            for (int round = 0; round < rounds; round++)
                score();
        }
    }

    public static CtrCandidate[] Candidates(Request request) => request.Impressions.Select(impression => new CtrCandidate
    {
        ItemKeys = impression.SequenceKeys[..2],
        CandidateKeys = impression.CandidateKeys,
        UserKeys = impression.UserKeys,
        Numbers = impression.Numbers,
        Timestamp = impression.Timestamp,
    }).ToArray();
}
