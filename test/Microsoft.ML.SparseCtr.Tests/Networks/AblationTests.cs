using TorchSharp;

namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>SparseCtr without some of its parts.</summary>
public class AblationTests
{
    private const AttentionBranches GlobalAndLocal = AttentionBranches.Global | AttentionBranches.Local;

    private static readonly SparseCtrTrainer.Options s_sizes = TestRequests.Sizes;

    private static readonly Request[] s_requests = [TestRequests.Request(40, 3), TestRequests.Request(0, 1, seed: 2), TestRequests.Request(7, 2, seed: 3, gap: _ => 0)];

    public static TheoryData<AttentionBranches, TemporalTerms> Parts
    {
        get
        {
            var all = new TheoryData<AttentionBranches, TemporalTerms>();
            for (AttentionBranches branches = AttentionBranches.Global; branches <= AttentionBranches.All; branches++)
                all.Add(branches, TemporalTerms.All);
            for (TemporalTerms terms = TemporalTerms.None; terms < TemporalTerms.All; terms++)
                all.Add(AttentionBranches.All, terms);
            all.Add(GlobalAndLocal, TemporalTerms.Hour);
            return all;
        }
    }

    [Theory]
    [MemberData(nameof(Parts))]
    public void What_is_left_out_is_left_out_of_the_plain_implementation_too(AttentionBranches branches, TemporalTerms terms)
    {
        SparseCtrTrainer.Options options = s_sizes with { Branches = branches, TemporalTerms = terms };
        using CtrNetwork network = TestRequests.Network(TestRequests.Config.With(options));
        double[] plain = s_requests.SelectMany(PlainNetwork.Of(network).Score).ToArray();
        TestRequests.AssertClose("in float64", plain, TestRequests.Score(network, s_requests), 1e-9);
        network.to(torch.float32);
        TestRequests.AssertClose("fused", plain, TestRequests.Score(network, s_requests), 1e-4);
    }

    [Theory]
    [MemberData(nameof(Parts))]
    public void Fused_attention_gives_the_scores_and_gradients_of_the_reference_and_none_to_what_is_left_out(AttentionBranches branches, TemporalTerms terms)
    {
        SparseCtrTrainer.Options options = s_sizes with { Branches = branches, TemporalTerms = terms };
        using CtrNetwork fused = Network(AttentionImplementation.Fused), reference = Network(AttentionImplementation.Reference);
        TestRequests.AssertClose("fused", TestRequests.Score(reference, s_requests), TestRequests.Score(fused, s_requests), 1e-5);

        Dictionary<string, torch.Tensor> expected = TestRequests.Gradients(reference, s_requests), actual = TestRequests.Gradients(fused, s_requests);
        TestRequests.AssertClose(expected, actual, 1e-4);
        foreach (Dictionary<string, torch.Tensor> gradients in new[] { expected, actual })
        {
            for (int part = 0; part < 3; part++)
            {
                torch.Tensor gates = gradients["blocks.0.attention.gate.weight"].reshape(3, -1)[part];
                torch.Tensor coefficients = gradients["blocks.0.attention.temporal.coefficients"].select(1, part);
                Assert.Equal(((int)branches & 1 << part) != 0, gates.abs().max().item<double>() > 0);
                Assert.Equal(((int)terms & 1 << part) != 0, coefficients.abs().max().item<double>() > 0);
            }
        }

        CtrNetwork Network(AttentionImplementation implementation)
            => TestRequests.Network(TestRequests.Config.With(options with { AttentionImplementation = implementation }), dtype: torch.ScalarType.Float32);
    }

    [Theory]
    [InlineData(torch.ScalarType.Float32)]
    [InlineData(torch.ScalarType.Float64)]
    public void Dense_attention_is_the_local_branch_with_a_window_over_everything_to_the_last_bit(torch.ScalarType dtype)
    {
        using CtrNetwork dense = TestRequests.Network(TestRequests.Config.With("DenseAttention"), dtype: dtype);
        using CtrNetwork local = TestRequests.Network(
            TestRequests.Config.With(s_sizes with { Branches = AttentionBranches.Local, LocalWindow = s_sizes.HistoryLength }), dtype: dtype);
        Assert.Equal(TestRequests.Score(dense, s_requests), TestRequests.Score(local, s_requests));
    }
}
