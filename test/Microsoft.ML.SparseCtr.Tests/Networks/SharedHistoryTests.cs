using TorchSharp;

namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>With causal chunks, candidates that share a history get, each over its own past, what they get by themselves.</summary>
public class SharedHistoryTests
{
    private static readonly CtrConfig s_config = TestRequests.Config.With(sizes => sizes with { Chunking = ChunkingPolicy.Causal, HistoryLength = 60 });

    public static TheoryData<string, int, int[], Func<Random, long>?> Histories => new()
    {
        { "no history", 0, [0, 0], null },
        { "one event", 1, [0, 1, 1], null },
        { "fewer events than chunks", 4, [4, 2, 0, 3], null },
        { "any past", 40, [.. Enumerable.Range(0, 41)], null },
        { "one second", 30, [0, 7, 30, 29], _ => 0 },
        { "equal gaps", 30, [1, 8, 30], _ => 3_600 },
        { "ever longer gaps", 30, [1, 8, 25, 30], Longer() },
        { "longer than the full length", 300, [5, 299, 150, 151, 152, 300, 80], null },
    };

    private static Func<Random, long> Longer()
    {
        // From the last gap to the first, of request after request.
        long gap = 0;
        return _ => gap = gap > 1_000 ? gap - 1_000 : 30_000;
    }

    [Theory]
    [MemberData(nameof(Histories))]
    public void Scores_are_those_of_the_plain_implementation_for_each_candidate_by_itself(string what, int events, int[] pasts, Func<Random, long>? gap)
    {
        foreach (int chunks in new[] { 1, 2, 3, 5, 50 })
        {
            CtrConfig config = s_config.With(sizes => sizes with { NumberOfChunks = chunks });
            using CtrNetwork network = TestRequests.Network(config);
            Request shared = TestRequests.Shared(events, pasts, gap: gap);
            var plain = new PlainNetwork(config, network);
            double[] expected = TestRequests.OneByOne(shared).SelectMany(plain.Score).ToArray();
            double[] actual = TestRequests.Score(network, shared);
            Assert.All(expected.Zip(actual), pair => Assert.True(Math.Abs(pair.First - pair.Second) <= 1e-9 * (1 + Math.Abs(pair.First)), $"{what}, {chunks} chunks: {pair}"));
        }
    }

    [Fact]
    public void Scores_in_float32_are_those_of_the_candidates_one_by_one()
    {
        using CtrNetwork network = TestRequests.Network(s_config, dtype: torch.ScalarType.Float32);
        Request shared = TestRequests.Shared(500, [.. Enumerable.Range(0, 100).Select(i => 5 * i)]);
        double[] expected = TestRequests.Score(network, TestRequests.OneByOne(shared)), actual = TestRequests.Score(network, shared);
        Assert.All(expected.Zip(actual), pair => Assert.Equal(pair.First, pair.Second, 1e-5 * (1 + Math.Abs(pair.First))));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Gradients_are_the_sums_of_those_of_the_candidates_one_by_one(bool inFloat32)
    {
        (torch.ScalarType dtype, double tolerance) = inFloat32 ? (torch.float32, 1e-4) : (torch.float64, 1e-10);
        Request[] shared = [TestRequests.Shared(90, [3, 90, 0, 41, 42, 43]), TestRequests.Shared(20, [20, 5], seed: 2), TestRequests.Shared(0, [0], seed: 3)];
        Dictionary<string, torch.Tensor> expected = Gradients([.. shared.SelectMany(TestRequests.OneByOne)]), actual = Gradients(shared);
        foreach ((string name, torch.Tensor gradient) in expected)
        {
            double error = (actual[name] - gradient).abs().max().item<double>(), size = gradient.abs().max().item<double>();
            Assert.True(error <= tolerance * (size + 1e-2), $"{name}: off by {error} where gradients are up to {size}");
        }

        Dictionary<string, torch.Tensor> Gradients(Request[] requests)
        {
            using CtrNetwork network = TestRequests.Network(s_config, dtype: dtype);
            using PackedBatch batch = PackedBatch.Create(requests, network, torch.CPU, dtype);
            torch.nn.functional.binary_cross_entropy_with_logits(network.forward(batch), batch.Labels).backward();
            return network.named_parameters().ToDictionary(named => named.Item1, named => named.Item2.grad!.to(torch.float64));
        }
    }

    [Fact]
    public void What_comes_after_a_candidate_changes_not_a_bit_of_its_score()
    {
        using CtrNetwork network = TestRequests.Network(s_config, dtype: torch.ScalarType.Float32);
        Request shared = TestRequests.Shared(80, [30, 31, 32]);
        double[] before = TestRequests.Score(network, shared);
        foreach (int[] keys in shared.HistoryKeys)
            keys.AsSpan(32).Fill(1);
        // Whether the next event begins a chunk changes no score, but the order of its sums.
        for (int i = 33; i < 80; i++)
            shared.HistoryTimestamps[i] += 1_000_000;
        Assert.Equal(before, TestRequests.Score(network, shared));
    }
}
