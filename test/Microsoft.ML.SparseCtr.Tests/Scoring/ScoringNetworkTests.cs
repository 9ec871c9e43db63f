using TorchSharp;
using TorchSharp.Modules;

namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>What scores in .NET code is held to the network that was trained.</summary>
public class ScoringNetworkTests
{
    private static readonly Dictionary<string, Func<Request>> s_requests = new()
    {
        ["no history"] = () => TestRequests.Request(0, 3),
        ["one event"] = () => TestRequests.Request(1, 1),
        ["as many as the window"] = () => TestRequests.Request(4, 1),
        ["a long history"] = () => TestRequests.Request(73, 5),
        ["more tokens than a block"] = () => TestRequests.Request(300, 70),
        ["a thousand candidates"] = () => TestRequests.Request(9, 1_000),
        ["all events in one second"] = () => TestRequests.Request(23, 2, gap: _ => 0),
        ["candidates in the midst of the history"] = () => TestRequests.Shared(60, [0, 1, 30, 30, 59, 60]),
        ["ten thousand events"] = () => TestRequests.Request(10_000, 2),
    };

    public static TheoryData<string> Requests => new(s_requests.Keys);

    public static TheoryData<string> Networks => TestRequests.NamesOfNetworks;

    [Theory]
    [MemberData(nameof(Requests))]
    public void Every_network_scores_as_the_one_that_was_trained(string request)
    {
        foreach (string name in TestRequests.Networks.Keys)
        {
            // Attention of two blocks to all of ten thousand events takes TorchSharp a minute.
            CtrTrainerOptions options = TestRequests.Networks[name];
            if (options is DenseAttentionTrainer.Options && s_requests[request]().HistoryTimestamps.Length > 1_000)
                options = (DenseAttentionTrainer.Options)options with { NumberOfBlocks = 1 };
            AssertScoresAsTrained(TestRequests.Config.With(options), s_requests[request]());
        }
    }

    [Theory]
    [MemberData(nameof(Networks))]
    public void Double_hashed_fields_are_embedded_as_in_training(string network)
        => AssertScoresAsTrained(TestRequests.Hashed.With(network), TestRequests.Request(31, 3));

    [Theory]
    [MemberData(nameof(Networks))]
    public void Items_and_times_are_enough(string network)
    {
        CtrConfig config = TestRequests.Config;
        AssertScoresAsTrained(
            config.With(network) with { SequenceFields = config.SequenceFields[..1], CandidateFields = [], UserFields = [], NumericFields = [] },
            TestRequests.Request(40, 3));
    }

    [Fact]
    public void Branches_and_temporal_terms_are_left_out_as_in_training()
    {
        for (AttentionBranches branches = AttentionBranches.Global; branches <= AttentionBranches.All; branches++)
            AssertScoresAsTrained(TestRequests.Config.With(TestRequests.Sizes with { Branches = branches }), TestRequests.Request(40, 3));
        for (TemporalTerms terms = TemporalTerms.None; terms < TemporalTerms.All; terms++)
            AssertScoresAsTrained(TestRequests.Config.With(TestRequests.Sizes with { TemporalTerms = terms }), TestRequests.Request(40, 3));
    }

    [Fact]
    public void Weights_of_before_gates_had_biases_score_as_with_none()
    {
        CtrConfig config = TestRequests.Config;
        using CtrNetwork network = TestRequests.Network(config, dtype: torch.ScalarType.Float32);
        using IDisposable noGradient = torch.no_grad();
        foreach ((string name, Parameter weight) in network.named_parameters().Where(named => IsGateBias(named.Item1)))
            weight.zero_();
        var earlier = new Weights(network.CopyWeights().All.Where(weight => !IsGateBias(weight.Name)));
        Request request = TestRequests.Request(40, 3);
        Assert.Equal(ScoringNetwork.Create(config, network.CopyWeights()).Score(request), ScoringNetwork.Create(config, earlier).Score(request));

        static bool IsGateBias(string name) => name.EndsWith("attention.gate.bias", StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1, 16, 2)]
    [InlineData(1, 6, 3)]
    [InlineData(2, 20, 1)]
    [InlineData(3, 36, 4)]
    [InlineData(6, 256, 8)]
    public void Sizes_from_small_to_large_score_as_in_training(int blocks, int dimension, int heads)
    {
        foreach (CtrTrainerOptions options in new CtrTrainerOptions[]
                 {
                     new SparseCtrTrainer.Options { NumberOfBlocks = blocks, FeedForwardDimension = dimension + 1 },
                     new EtaTrainer.Options(), new TargetAttentionTrainer.Options(),
                 })
        {
            (options.ModelDimension, options.NumberOfHeads, options.HistoryLength, options.HeadDimension) = (dimension, heads, 1_000, dimension - 1);
            // As weights are at first: those of the other tests would make numbers of 10³⁰ in six blocks.
            AssertScoresAsTrained(TestRequests.Config.With(options), TestRequests.Request(200, 5), areRandom: false);
        }
    }

    [Theory]
    [MemberData(nameof(Networks))]
    public void Who_scores_at_the_same_time_gets_the_scores_of_one_alone_to_the_last_bit(string name)
    {
        ScoringNetwork network = Trained(TestRequests.Config.With(name), areRandom: true).Scoring;
        Request[] requests = Enumerable.Range(0, 40).Select(i => TestRequests.Request(7 * i, 1 + i % 5, seed: i)).ToArray();
        float[][] alone = requests.Select(network.Score).ToArray(), together = new float[4 * requests.Length][];
        Parallel.For(0, together.Length, i => together[i] = network.Score(requests[i % requests.Length]));
        Assert.All(together.Select((scores, i) => (scores, i)), each => Assert.Equal(alone[each.i % requests.Length], each.scores));
    }

    [Fact]
    public void A_request_after_a_larger_one_scores_as_before()
    {
        ScoringNetwork network = Trained(TestRequests.Config, areRandom: true).Scoring;
        Request small = TestRequests.Request(5, 3);
        float[] before = network.Score(small);
        network.Score(TestRequests.Request(3_000, 200));
        Assert.Equal(before, network.Score(small));
    }

    private static void AssertScoresAsTrained(CtrConfig config, Request request, bool areRandom = true)
    {
        (CtrNetwork trained, ScoringNetwork scoring) = Trained(config, areRandom);
        using (trained)
            TestRequests.AssertClose($"{config.Options}", TestRequests.Score(trained, request), [.. scoring.Score(request)], 1e-5);
    }

    private static (CtrNetwork Trained, ScoringNetwork Scoring) Trained(CtrConfig config, bool areRandom)
    {
        CtrNetwork network;
        if (areRandom)
        {
            network = TestRequests.Network(config, dtype: torch.ScalarType.Float32);
        }
        else
        {
            torch.manual_seed(1);
            network = config.Options.CreateNetwork(config);
            network.eval();
        }
        return (network, ScoringNetwork.Create(config, network.CopyWeights()));
    }
}
