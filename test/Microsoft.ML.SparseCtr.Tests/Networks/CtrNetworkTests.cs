using TorchSharp;
using TorchSharp.Modules;

namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>What holds for every network.</summary>
public class CtrNetworkTests
{
    private static readonly CtrConfig s_config = TestRequests.Config;

    private static readonly Dictionary<string, Func<Request>> s_awkward = new()
    {
        ["no history"] = () => TestRequests.Request(0, 1),
        ["no history and three candidates"] = () => TestRequests.Request(0, 3),
        ["one event"] = () => TestRequests.Request(1, 1),
        ["two events"] = () => TestRequests.Request(2, 2),
        ["as many as the window"] = () => TestRequests.Request(4, 1),
        ["one more than the window"] = () => TestRequests.Request(5, 2),
        ["a long history"] = () => TestRequests.Request(73, 5),
        ["a thousand candidates"] = () => TestRequests.Request(9, 1_000),
        ["all events in one second"] = () => TestRequests.Request(23, 2, gap: _ => 0),
        ["equal gaps"] = () => TestRequests.Request(23, 2, gap: _ => 3_600),
        ["unseen items"] = () =>
        {
            Request request = TestRequests.Request(12, 2);
            Array.Clear(request.HistoryKeys[0]);
            request.Impressions[0].SequenceKeys[0] = 0;
            return request;
        },
    };

    public static TheoryData<string, string> NetworksAndRequests
    {
        get
        {
            var all = new TheoryData<string, string>();
            foreach (string network in TestRequests.Networks.Keys)
            {
                foreach (string request in s_awkward.Keys)
                    all.Add(network, request);
            }
            return all;
        }
    }

    public static TheoryData<string> Networks => TestRequests.NamesOfNetworks;

    [Theory]
    [MemberData(nameof(NetworksAndRequests))]
    public void Scores_are_those_of_the_plain_implementation(string network, string request)
        => AssertScoresAsPlain(s_config.With(network), s_awkward[request]());

    [Theory]
    [MemberData(nameof(Networks))]
    public void Scores_are_those_of_the_plain_implementation_for_a_history_of_ten_thousand_events(string network)
    {
        CtrTrainerOptions options = TestRequests.Networks[network];
        AssertScoresAsPlain(s_config.With(options is SelfAttentionOptions blocks ? blocks with { NumberOfBlocks = 1 } : options), TestRequests.Request(10_000, 2));
    }

    [Theory]
    [MemberData(nameof(Networks))]
    public void Scores_are_those_of_the_plain_implementation_where_keys_are_hashed(string network)
        => AssertScoresAsPlain(TestRequests.Hashed.With(network), TestRequests.Request(31, 3));

    [Theory]
    [InlineData(1, 1, 1, 1)]
    [InlineData(8, 3, 1, 3)]
    [InlineData(3, 1, 7, 1)]
    [InlineData(2, 5, 100, 2)]
    public void Scores_are_those_of_the_plain_implementation_for_any_sizes(int chunks, int transitions, int window, int blocks)
        => AssertScoresAsPlain(
            s_config.With(TestRequests.Sizes with { NumberOfChunks = chunks, TransitionBehaviors = transitions, LocalWindow = window, NumberOfBlocks = blocks }),
            TestRequests.Request(31, 3, seed: chunks));

    [Theory]
    [InlineData(1, 1, 64)]
    [InlineData(100, 1, 192)]
    [InlineData(5, 100, 1_024)]
    public void Scores_of_Eta_are_those_of_the_plain_implementation_for_any_sizes(int retrieved, int window, int bits)
        => AssertScoresAsPlain(
            s_config.With((EtaTrainer.Options)TestRequests.Networks["Eta"] with { RetrievedBehaviors = retrieved, LocalWindow = window, FingerprintBits = bits }),
            TestRequests.Request(31, 3));

    [Theory]
    [MemberData(nameof(Networks))]
    public void A_network_of_items_and_times_alone_scores_like_the_plain_implementation(string network)
    {
        CtrConfig items = s_config.With(network) with { SequenceFields = s_config.SequenceFields[..1], CandidateFields = [], UserFields = [], NumericFields = [] };
        Request request = TestRequests.Request(20, 2);
        AssertScoresAsPlain(items, new Request
        {
            HistoryTimestamps = request.HistoryTimestamps,
            HistoryKeys = request.HistoryKeys[..1],
            Impressions = request.Impressions.Select(one => new Impression
            {
                SequenceKeys = one.SequenceKeys[..1], CandidateKeys = [], UserKeys = [], Numbers = [], Timestamp = one.Timestamp, PastLength = one.PastLength,
            }).ToList(),
        });
    }

    [Theory]
    [MemberData(nameof(Networks))]
    public void A_request_scores_alone_as_it_does_within_a_batch(string name)
    {
        using CtrNetwork network = TestRequests.Network(s_config.With(name), dtype: torch.ScalarType.Float32);
        Request[] requests = new[] { 0, 40, 1, 7, 0, 200, 3 }.Select((events, i) => TestRequests.Request(events, 1 + i % 3, seed: i)).ToArray();

        double[] alone = requests.SelectMany(request => TestRequests.Score(network, request)).ToArray();
        TestRequests.AssertClose(name, alone, TestRequests.Score(network, requests), 1e-6);
    }

    /// <summary>Eta's may in the last bits: how many tokens others retrieve is how many rows a product has, by which libtorch chooses the order of its sums.</summary>
    [Theory]
    [MemberData(nameof(Networks))]
    public void A_candidates_score_does_not_depend_on_the_other_candidates_by_a_single_bit(string name)
    {
        using CtrNetwork network = TestRequests.Network(s_config.With(name), dtype: torch.ScalarType.Float32);
        Request request = TestRequests.Request(30, 4);
        double before = TestRequests.Score(network, request)[1];

        request.Impressions[0] = TestRequests.Candidate(new Random(99), 30);
        request.Impressions[3] = TestRequests.Candidate(new Random(98), 30);

        Assert.Equal(before, TestRequests.Score(network, request)[1], network is EtaNetwork ? 1e-6 * (1 + Math.Abs(before)) : 0);
    }

    [Theory]
    [MemberData(nameof(Networks))]
    public void Gradients_are_those_of_finite_differences(string network) => AssertGradients(s_config.With(network));

    [Theory]
    [InlineData("SparseCtr")]
    [InlineData("Eta")]
    public void Gradients_are_those_of_finite_differences_where_keys_are_hashed(string network) => AssertGradients(TestRequests.Hashed.With(network));

    /// <summary>Those in float64 are held to finite differences above; float32 takes the fused attention.</summary>
    [Theory]
    [MemberData(nameof(Networks))]
    public void Gradients_in_float32_are_those_in_float64(string network)
    {
        CtrTrainerOptions options = TestRequests.Networks[network];
        AssertGradientsInFloat32(options);
        if (options is SelfAttentionOptions blocks)
            AssertGradientsInFloat32(blocks with { NumberOfBlocks = 1 });
    }

    private static Request[] SomeRequests => [TestRequests.Request(17, 2), TestRequests.Request(0, 1, seed: 2), TestRequests.Request(6, 3, seed: 3, gap: _ => 0)];

    [Theory]
    [MemberData(nameof(Networks))]
    public void A_candidate_attends_at_first_to_behaviors_with_its_keys(string name)
    {
        torch.manual_seed(1);
        using CtrNetwork network = TestRequests.Networks[name].CreateNetwork(s_config.With(name));
        Dictionary<string, Parameter> weights = network.named_parameters().ToDictionary(named => named.Item1, named => named.Item2);

        string[] keys = [.. weights.Keys.Where(weight => weight.EndsWith("key.weight", StringComparison.Ordinal))];
        Assert.NotEmpty(keys);
        Assert.All(keys, key => Assert.Equal(0, (weights[key] - weights[key.Replace("key.weight", "query.weight")]).abs().max().item<float>()));
        Assert.Equal(0, weights["candidate_token.weight"].abs().max().item<float>());
        Assert.NotEqual(0, weights["token.weight"].abs().min().item<float>());
    }

    [Theory]
    [InlineData(AttentionBranches.All, true)]
    [InlineData(AttentionBranches.GlobalAndLocal, true)]
    [InlineData(AttentionBranches.Local, false)]
    [InlineData(AttentionBranches.GlobalAndTransition, false)]
    public void Heads_start_in_the_local_branch_where_there_is_another(AttentionBranches branches, bool isPrepared)
    {
        CtrConfig config = s_config.With(TestRequests.Sizes with { ModelDimension = 16, NumberOfHeads = 4, Branches = branches });
        using CtrNetwork network = config.Options.CreateNetwork(config);
        Parameter[] biases = [.. network.named_parameters().Where(named => named.Item1.EndsWith("attention.gate.bias", StringComparison.Ordinal)).Select(named => named.Item2)];
        Assert.NotEmpty(biases);
        float[] expected = isPrepared ? [.. Enumerable.Repeat(-2f, 8), .. Enumerable.Repeat(2f, 4)] : new float[12];
        Assert.All(biases, bias => Assert.Equal(expected, bias.data<float>()));
    }

    private static void AssertGradientsInFloat32(CtrTrainerOptions options)
    {
        using CtrNetwork network = TestRequests.Network(s_config.With(options));
        Dictionary<string, torch.Tensor> expected = TestRequests.Gradients(network, SomeRequests);
        network.to(torch.float32);
        TestRequests.AssertClose(expected, TestRequests.Gradients(network, SomeRequests), 1e-4);
    }

    /// <summary>Which behaviors Eta retrieves has no gradient; the weights are such that so small a change does not change it.</summary>
    private static void AssertGradients(CtrConfig config)
    {
        using CtrNetwork network = TestRequests.Network(config);
        TestRequests.Loss(network, SomeRequests).backward();

        var random = new Random(1);
        foreach ((string name, Parameter parameter) in network.named_parameters())
        {
            for (int trial = 0; trial < 6; trial++)
            {
                long place = random.NextInt64(parameter.numel());
                double expected = (LossWith(parameter, place, +1e-5) - LossWith(parameter, place, -1e-5)) / 2e-5;
                double actual = parameter.grad!.reshape(-1)[place].item<double>();
                Assert.True(Math.Abs(expected - actual) <= 1e-6 * (1 + Math.Abs(expected)), $"{name}[{place}]: {actual}, by finite differences {expected}");
            }
        }

        double LossWith(Parameter parameter, long place, double change)
        {
            using IDisposable noGradient = torch.no_grad();
            torch.Tensor one = parameter.reshape(-1).narrow(0, place, 1);
            one.add_(change);
            double loss = TestRequests.Loss(network, SomeRequests).item<double>();
            one.sub_(change);
            return loss;
        }
    }

    private static void AssertScoresAsPlain(CtrConfig config, Request request)
    {
        using CtrNetwork network = TestRequests.Network(config);
        TestRequests.AssertClose($"{config.Options}", PlainNetwork.Of(network).Score(request), TestRequests.Score(network, request), 1e-9);
    }
}
