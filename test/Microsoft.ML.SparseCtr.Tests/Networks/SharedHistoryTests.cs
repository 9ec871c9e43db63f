using TorchSharp;

namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>With all but the largest gaps for boundaries, candidates that share a history get, each over its own past, what they get by themselves.</summary>
public class SharedHistoryTests
{
    /// <summary>Beyond its full length, a history's equal chunks would be longer the longer it is; no row has such a history.</summary>
    private const int FullLengthOfEqualChunks = 500;

    private static readonly Dictionary<string, CtrTrainerOptions> s_networks = TestRequests.Networks.Where(network => network.Value.CanShareHistories)
        .ToDictionary(network => network.Key, network => network.Value is SparseCtrTrainer.Options { Chunking: ChunkingPolicy.EqualCounts } equal
            ? equal with { HistoryLength = FullLengthOfEqualChunks } : network.Value);

    public static TheoryData<string> Networks => new(s_networks.Keys);

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
        foreach (CtrTrainerOptions options in s_networks.Values.SelectMany(WithAnyChunks))
        {
            using CtrNetwork network = TestRequests.Network(TestRequests.Config.With(options));
            Request shared = TestRequests.Shared(events, pasts, gap: gap);
            PlainNetwork plain = PlainNetwork.Of(network);
            double[] expected = TestRequests.OneByOne(shared).SelectMany(plain.Score).ToArray();
            TestRequests.AssertClose($"{what}, {options}", expected, TestRequests.Score(network, shared), 1e-9);
        }

        static IEnumerable<CtrTrainerOptions> WithAnyChunks(CtrTrainerOptions options) => options is SparseCtrTrainer.Options sparse
            ? new[] { 1, 2, 3, 5, 50 }.Select(chunks => sparse with { NumberOfChunks = chunks })
            : [options];
    }

    [Fact]
    public void Only_the_largest_gaps_of_a_longer_history_are_others()
        => Assert.Equal(["SparseCtr"], TestRequests.Networks.Keys.Except(s_networks.Keys));

    [Theory]
    [MemberData(nameof(Networks))]
    public void Scores_in_float32_are_those_of_the_candidates_one_by_one(string name)
    {
        using CtrNetwork network = TestRequests.Network(TestRequests.Config.With(s_networks[name]), dtype: torch.ScalarType.Float32);
        Request shared = TestRequests.Shared(500, [.. Enumerable.Range(0, 100).Select(i => 5 * i)]);
        TestRequests.AssertClose(name, TestRequests.Score(network, TestRequests.OneByOne(shared)), TestRequests.Score(network, shared), 1e-5);
    }

    [Theory]
    [MemberData(nameof(Networks))]
    public void Gradients_are_the_sums_of_those_of_the_candidates_one_by_one(string name)
    {
        Request[] shared = [TestRequests.Shared(90, [3, 90, 0, 41, 42, 43]), TestRequests.Shared(20, [20, 5], seed: 2), TestRequests.Shared(0, [0], seed: 3)];
        foreach ((torch.ScalarType dtype, double tolerance) in new[] { (torch.float64, 1e-10), (torch.float32, 1e-4) })
        {
            using CtrNetwork network = TestRequests.Network(TestRequests.Config.With(s_networks[name]), dtype: dtype);
            TestRequests.AssertClose(
                TestRequests.Gradients(network, [.. shared.SelectMany(TestRequests.OneByOne)]), TestRequests.Gradients(network, shared), tolerance);
        }
    }

    [Theory]
    [MemberData(nameof(Networks))]
    public void What_comes_after_a_candidate_changes_not_a_bit_of_its_score(string name)
    {
        using CtrNetwork network = TestRequests.Network(TestRequests.Config.With(s_networks[name]), dtype: torch.ScalarType.Float32);
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
