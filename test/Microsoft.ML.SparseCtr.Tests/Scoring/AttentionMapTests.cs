using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>With queries of zeros, attention goes by time alone: of logits −log(1 + Δt/τ), probabilities are as 1/(1 + Δt/τ).</summary>
public class AttentionMapTests
{
    private static readonly SparseCtrTrainer.Options s_options
        = TestRequests.Sizes with { Chunking = ChunkingPolicy.Causal, HistoryLength = 60, NumberOfChunks = 4, TransitionBehaviors = 3, LocalWindow = 7 };

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(5)]
    [InlineData(60)]
    public void Each_branch_shows_which_events_it_gives_its_attention_to(int events)
    {
        CtrScorer scorer = RandomScorer.Of(s_options, change: AttendByTime);
        Request request = TestRequests.Request(events, 1, seed: 3);
        long[] times = request.HistoryTimestamps;
        AttentionMap map = scorer.Explain(scorer.Encode(RandomScorer.History(request)), RandomScorer.Candidates(request)[0])!;

        var chunkOf = new int[events];
        TimeChunking.Causal(times, s_options.NumberOfChunks, s_options.HistoryLength, chunkOf);
        int[][] chunks = Enumerable.Range(0, events).GroupBy(i => chunkOf[i]).Select(chunk => chunk.ToArray()).ToArray();
        Assert.Equal(chunks.Select(chunk => (chunk[0], chunk.Length)), map.Chunks.Select(chunk => (chunk.First, chunk.Count)));
        AssertShares(chunks.Select(chunk => Size(chunk[^1])), rest: 1, map.Chunks.Select(chunk => chunk.Weight));
        int[] transitions = chunks.SelectMany(chunk => chunk.TakeLast(s_options.TransitionBehaviors)).ToArray();
        AssertShares(Enumerable.Range(0, events).Select(i => transitions.Contains(i) ? Size(i) : 0), rest: 1, map.Transition);
        AssertShares(Enumerable.Range(0, events).Select(i => i >= events - s_options.LocalWindow ? Size(i) : 0), rest: 1, map.Local);
        Assert.Equal(1, map.Local.Sum() + map.Self, 1e-5);
        Assert.All(new[] { map.GlobalGate, map.TransitionGate, map.LocalGate }, gate => Assert.InRange(gate, 0.01, 0.99));

        double Size(int place) => 1 / (1 + (TestRequests.Now - times[place]) / s_options.TimeScaleSeconds);
    }

    [Fact]
    public void A_branch_that_is_left_out_is_shut()
    {
        CtrScorer scorer = RandomScorer.Of(s_options with { Branches = AttentionBranches.GlobalAndLocal });
        Request request = TestRequests.Request(30, 1);
        Assert.Equal(0, scorer.Explain(scorer.Encode(RandomScorer.History(request)), RandomScorer.Candidates(request)[0])!.TransitionGate);
    }

    [Fact]
    public void A_network_without_blocks_has_none()
    {
        CtrScorer scorer = RandomScorer.Of(TestRequests.Networks["Eta"]);
        Request request = TestRequests.Request(30, 1);
        Assert.Null(scorer.Explain(scorer.Encode(RandomScorer.History(request)), RandomScorer.Candidates(request)[0]));
    }

    private static void AttendByTime(string name, Tensor weight)
    {
        if (name.EndsWith("query.weight", StringComparison.Ordinal))
            weight.zero_();
        if (name.EndsWith("coefficients", StringComparison.Ordinal))
            weight.copy_(tensor(new float[] { -1, 0, 0 }).expand(weight.shape));
    }

    private static void AssertShares(IEnumerable<double> sizes, double rest, IEnumerable<float> actual)
    {
        double sum = sizes.Sum() + rest;
        Assert.Equal(sizes.Select(size => size / sum), actual.Select(weight => (double)weight), (expected, weight) => Math.Abs(expected - weight) < 1e-5);
    }
}
