using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// The candidate attends to the user's w latest behaviors; what it finds there is scored beside itself. In the manner of DIN (Zhou et al. 2018,
/// arXiv:1706.06978), with multi-head attention for DIN's activation unit.
/// </summary>
internal sealed class TargetAttentionNetwork : CtrNetwork
{
    private readonly TargetAttention _attention;
    private readonly int _window;

    public TargetAttentionNetwork(CtrConfig config, TargetAttentionTrainer.Options options) : base(config, nameof(TargetAttentionNetwork))
    {
        _window = options.LocalWindow;
        register_module("attention", _attention = new TargetAttention(options.ModelDimension, options.NumberOfHeads));
        AddHead(2 * options.ModelDimension);
    }

    protected override Tensor States(PackedBatch batch)
    {
        SeenBehaviors recent = SeenBehaviors.Latest(batch.Plan.Pasts, _window);
        (Tensor behaviors, (long[] Places, int Count)[] seen) = SeenBehaviors.Renumber(batch.Plan.BehaviorCount, batch.Labels.device, recent);
        Tensor tokens = Tokens(batch, behaviors), candidates = tokens.narrow(0, behaviors.shape[0], batch.Plan.CandidateCount);
        return cat([candidates, Dropout.forward(_attention.forward(candidates, tokens.narrow(0, 0, seen[0].Count), seen[0].Places))], 1);
    }
}
