using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr.Benchmarks;

/// <summary>An attention layer over a batch of random tokens, as it is measured: forward alone, and forward and backward.</summary>
internal sealed class AttentionPasses
{
    private readonly EvoAttention _attention;
    private readonly EvoAttentionPlan _plan;
    private readonly Tensor _tokens, _gradient;

    /// <param name="attention">The layer.</param>
    /// <param name="plan">Of its batch.</param>
    /// <param name="dtype">What it is given, and so what it computes in.</param>
    public AttentionPasses(EvoAttention attention, EvoAttentionPlan plan, ScalarType dtype = ScalarType.Float32)
    {
        (_attention, _plan) = (attention, plan);
        Tensor weight = attention.parameters().First();
        _tokens = randn(plan.TokenCount, weight.shape[1], device: weight.device).to(dtype).requires_grad_();
        _gradient = randn_like(_tokens);
    }

    public void Forward()
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable noGradient = no_grad();
        _attention.forward(_tokens, _plan, false);
    }

    public void ForwardAndBackward()
    {
        using DisposeScope scope = NewDisposeScope();
        _attention.forward(_tokens, _plan, false).backward([_gradient]);
    }
}
