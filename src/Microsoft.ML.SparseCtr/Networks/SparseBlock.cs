using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>x · weight / √(mean(x²) + ε), over the last dimension.</summary>
internal sealed class RmsNorm : nn.Module<Tensor, Tensor>
{
    private const double Epsilon = 1e-6;

    // TorchSharp moves a parameter to another device or type by putting the new one into the field of its name.
    private Parameter weight;

    public RmsNorm(int dimension) : base(nameof(RmsNorm))
    {
        weight = new Parameter(ones(dimension));
        register_parameter(nameof(weight), weight);
    }

    public override Tensor forward(Tensor x)
        => x * (x.square().mean([-1], keepdim: true) + Epsilon).rsqrt() * weight;
}

/// <summary>W_down(SiLU(W_gate x) ⊙ W_up x), a gated feed-forward layer.</summary>
internal sealed class SwiGlu : nn.Module<Tensor, Tensor>
{
    private readonly Linear _gate, _up, _down;

    public SwiGlu(int dimension, int width) : base(nameof(SwiGlu))
    {
        register_module("gate", _gate = nn.Linear(dimension, width, hasBias: false));
        register_module("up", _up = nn.Linear(dimension, width, hasBias: false));
        register_module("down", _down = nn.Linear(width, dimension, hasBias: false));
    }

    public override Tensor forward(Tensor x) => _down.forward(_gate.forward(x).silu() * _up.forward(x));
}

/// <summary>One layer of the network: x ← x + EvoAttention(RMSNorm(x)); x ← x + SwiGLU(RMSNorm(x)).</summary>
internal sealed class SparseBlock : nn.Module<Tensor, EvoAttentionPlan, bool, Tensor>
{
    private readonly RmsNorm _attentionNorm, _feedForwardNorm;
    private readonly EvoAttention _attention;
    private readonly SwiGlu _feedForward;
    private readonly Dropout _dropout;

    public SparseBlock(SparseCtrConfig config, double dropout, AttentionImplementation attention = default) : base(nameof(SparseBlock))
    {
        register_module("attention_norm", _attentionNorm = new RmsNorm(config.ModelDimension));
        register_module("attention", _attention = new EvoAttention(config, attention));
        register_module("feed_forward_norm", _feedForwardNorm = new RmsNorm(config.ModelDimension));
        register_module("feed_forward", _feedForward = new SwiGlu(config.ModelDimension, config.FeedForwardDimension));
        register_module("dropout", _dropout = nn.Dropout(dropout));
    }

    /// <param name="x">[tokens, d], packed as the plan says.</param>
    /// <param name="plan">Who sees whom.</param>
    /// <param name="candidatesOnly">Whether only the candidates go on, as after the last block.</param>
    /// <returns>[tokens, d], or [candidates, d].</returns>
    public override Tensor forward(Tensor x, EvoAttentionPlan plan, bool candidatesOnly)
    {
        Tensor attended = _attention.forward(_attentionNorm.forward(x), plan, candidatesOnly);
        Tensor kept = candidatesOnly ? x.narrow(0, plan.BehaviorCount, plan.CandidateCount) : x;
        Tensor y = kept + _dropout.forward(attended);
        return y + _dropout.forward(_feedForward.forward(_feedForwardNorm.forward(y)));
    }
}
