using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>One layer of the network: x ← x + EvoAttention(RMSNorm(x)); x ← x + SwiGLU(RMSNorm(x)).</summary>
internal sealed class SparseBlock : nn.Module<Tensor, EvoAttentionPlan, bool, Tensor>
{
    private readonly RmsNorm _attentionNorm, _feedForwardNorm;
    private readonly EvoAttention _attention;
    private readonly SwiGlu _feedForward;
    private readonly FusedDropout _dropout;

    public SparseBlock(SelfAttentionOptions options) : base(nameof(SparseBlock))
    {
        register_module("attention_norm", _attentionNorm = new RmsNorm(options.ModelDimension, options.MixedPrecision));
        register_module("attention", _attention = new EvoAttention(options));
        register_module("feed_forward_norm", _feedForwardNorm = new RmsNorm(options.ModelDimension, options.MixedPrecision));
        register_module("feed_forward", _feedForward = new SwiGlu(options.ModelDimension, options.FeedForwardDimension));
        register_module("dropout", _dropout = new FusedDropout(options.Dropout));
    }

    /// <param name="x">[tokens, d], packed as the plan says.</param>
    /// <param name="plan">Who sees whom.</param>
    /// <param name="candidatesOnly">Whether only the candidates go on, as after the last block.</param>
    /// <returns>[tokens, d], or [candidates, d].</returns>
    public override Tensor forward(Tensor x, EvoAttentionPlan plan, bool candidatesOnly)
    {
        Tensor attended = _attention.forward(_attentionNorm.forward(x), plan, candidatesOnly);
        Tensor y = plan.Asking(x, candidatesOnly) + _dropout.forward(attended);
        return y + _dropout.forward(_feedForward.forward(_feedForwardNorm.forward(y)));
    }
}
