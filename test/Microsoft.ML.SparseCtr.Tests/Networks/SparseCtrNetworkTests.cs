using TorchSharp;
using TorchSharp.Modules;

namespace Microsoft.ML.SparseCtr.Tests;

public class SparseCtrNetworkTests
{
    private static readonly CtrConfig s_config = TestRequests.Config;

    public static TheoryData<string, int, int> AwkwardRequests => new()
    {
        { "no history", 0, 1 }, { "no history", 0, 3 }, { "one event", 1, 1 }, { "two events", 2, 2 }, { "as many as the window", 4, 1 },
        { "one more than the window", 5, 1 }, { "as many as the chunks", 5, 2 }, { "a long history", 73, 5 }, { "a thousand candidates", 9, 1_000 },
    };

    [Theory]
    [MemberData(nameof(AwkwardRequests))]
    public void Scores_are_those_of_the_plain_implementation(string what, int events, int candidates)
        => AssertScoresAsPlain(what, s_config, TestRequests.Request(events, candidates, seed: events + candidates));

    [Fact]
    public void Scores_are_those_of_the_plain_implementation_where_all_events_fall_in_one_second()
        => AssertScoresAsPlain("one second", s_config, TestRequests.Request(23, 2, gap: _ => 0));

    [Fact]
    public void Scores_are_those_of_the_plain_implementation_where_all_gaps_are_equal()
        => AssertScoresAsPlain("equal gaps", s_config, TestRequests.Request(23, 2, gap: _ => 3_600));

    [Fact]
    public void Scores_are_those_of_the_plain_implementation_for_a_history_of_ten_thousand_events()
        => AssertScoresAsPlain("ten thousand events", s_config.With(sizes => sizes with { NumberOfBlocks = 1 }), TestRequests.Request(10_000, 2));

    [Theory]
    [InlineData(1, 1, 1, 1)]
    [InlineData(8, 3, 1, 3)]
    [InlineData(3, 1, 7, 1)]
    [InlineData(2, 5, 100, 2)]
    public void Scores_are_those_of_the_plain_implementation_for_any_sizes(int chunks, int transitions, int window, int blocks)
        => AssertScoresAsPlain("sizes", s_config.With(sizes => sizes with { NumberOfChunks = chunks, TransitionBehaviors = transitions, LocalWindow = window, NumberOfBlocks = blocks }),
            TestRequests.Request(31, 3, seed: chunks));

    [Fact]
    public void Scores_are_those_of_the_plain_implementation_where_keys_are_hashed()
        => AssertScoresAsPlain("hashed", TestRequests.Hashed, TestRequests.Request(31, 3));

    [Fact]
    public void A_network_of_items_and_times_alone_scores_like_the_plain_implementation()
    {
        CtrConfig items = s_config with { SequenceFields = s_config.SequenceFields[..1], CandidateFields = [], UserFields = [], NumericFields = [] };
        Request request = TestRequests.Request(20, 2);
        AssertScoresAsPlain("items alone", items, new Request
        {
            HistoryTimestamps = request.HistoryTimestamps,
            HistoryKeys = request.HistoryKeys[..1],
            Impressions = request.Impressions.Select(one => new Impression
            {
                SequenceKeys = one.SequenceKeys[..1], CandidateKeys = [], UserKeys = [], Numbers = [], Timestamp = one.Timestamp, PastLength = one.PastLength,
            }).ToList(),
        });
    }

    [Fact]
    public void A_request_scores_alone_as_it_does_within_a_batch()
    {
        using CtrNetwork network = TestRequests.Network(s_config, dtype: torch.ScalarType.Float32);
        Request[] requests = new[] { 0, 40, 1, 7, 0, 200, 3 }.Select((events, i) => TestRequests.Request(events, 1 + i % 3, seed: i)).ToArray();

        double[] alone = requests.SelectMany(request => TestRequests.Score(network, request)).ToArray();
        double[] together = TestRequests.Score(network, requests);

        Assert.All(alone.Zip(together), pair => Assert.Equal(pair.First, pair.Second, 1e-6 * (1 + Math.Abs(pair.First))));
    }

    [Fact]
    public void A_candidates_score_does_not_depend_on_the_other_candidates_by_a_single_bit()
    {
        using CtrNetwork network = TestRequests.Network(s_config, dtype: torch.ScalarType.Float32);
        Request request = TestRequests.Request(30, 4);
        double before = TestRequests.Score(network, request)[1];

        request.Impressions[0] = TestRequests.Candidate(new Random(99), 30);
        request.Impressions[3] = TestRequests.Candidate(new Random(98), 30);

        Assert.Equal(before, TestRequests.Score(network, request)[1]);
    }

    [Fact]
    public void Gradients_are_those_of_finite_differences() => AssertGradients(s_config);

    [Fact]
    public void Gradients_are_those_of_finite_differences_where_keys_are_hashed() => AssertGradients(TestRequests.Hashed);

    /// <summary>Those in float64 are held to finite differences above; float32 takes the fused attention.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Gradients_in_float32_are_those_in_float64(int blocks)
    {
        CtrConfig config = s_config.With(sizes => sizes with { NumberOfBlocks = blocks });
        Request[] requests = [TestRequests.Request(17, 2), TestRequests.Request(0, 1, seed: 2), TestRequests.Request(6, 3, seed: 3, gap: _ => 0)];
        Dictionary<string, torch.Tensor> expected = Gradients(torch.float64), actual = Gradients(torch.float32);
        foreach ((string name, torch.Tensor gradient) in expected)
        {
            double error = (actual[name].to(torch.float64) - gradient).abs().max().item<double>(), size = gradient.abs().max().item<double>();
            Assert.True(error <= 1e-4 * (size + 1e-2), $"{name}: off by {error} where gradients are up to {size}");
        }

        Dictionary<string, torch.Tensor> Gradients(torch.ScalarType dtype)
        {
            using CtrNetwork network = TestRequests.Network(config);
            network.to(dtype);
            using PackedBatch batch = PackedBatch.Create(requests, network, torch.CPU, dtype);
            torch.nn.functional.binary_cross_entropy_with_logits(network.forward(batch), batch.Labels).backward();
            return network.named_parameters().ToDictionary(named => named.Item1, named => named.Item2.grad!.clone());
        }
    }

    private static void AssertGradients(CtrConfig config)
    {
        using CtrNetwork network = TestRequests.Network(config);
        Request[] requests = [TestRequests.Request(17, 2), TestRequests.Request(0, 1, seed: 2), TestRequests.Request(6, 3, seed: 3, gap: _ => 0)];
        Loss().backward();

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

        torch.Tensor Loss()
        {
            using PackedBatch batch = PackedBatch.Create(requests, network, torch.CPU, torch.float64);
            return torch.nn.functional.binary_cross_entropy_with_logits(network.forward(batch), batch.Labels);
        }

        double LossWith(Parameter parameter, long place, double change)
        {
            using IDisposable noGradient = torch.no_grad();
            torch.Tensor one = parameter.reshape(-1).narrow(0, place, 1);
            one.add_(change);
            double loss = Loss().item<double>();
            one.sub_(change);
            return loss;
        }
    }

    private static void AssertScoresAsPlain(string what, CtrConfig config, Request request)
    {
        using CtrNetwork network = TestRequests.Network(config);
        double[] expected = new PlainNetwork(config, network).Score(request);
        double[] actual = TestRequests.Score(network, request);
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++)
            Assert.True(Math.Abs(expected[i] - actual[i]) <= 1e-9 * (1 + Math.Abs(expected[i])), $"{what}, candidate {i}: {actual[i]}, plainly {expected[i]}");
    }
}
