using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// The SparseCTR network (arXiv:2601.17836; docs/model.md): passes behaviors and candidates through blocks of sparse self-attention, or of dense attention,
/// which is a shape of it.
/// </summary>
internal sealed class SparseCtrNetwork : CtrNetwork
{
    private readonly SelfAttentionOptions _options;
    private readonly ModuleList<SparseBlock> _blocks;
    private readonly RmsNorm _norm;

    public SparseCtrNetwork(CtrConfig config, SelfAttentionOptions options) : base(config, nameof(SparseCtrNetwork))
    {
        _options = options;
        register_module("blocks", _blocks = new ModuleList<SparseBlock>(Enumerable.Range(0, options.NumberOfBlocks).Select(_ => new SparseBlock(options)).ToArray()));
        register_module("norm", _norm = new RmsNorm(options.ModelDimension));
        AddHead(options.ModelDimension);
    }

    public override BatchPlan Plan(IReadOnlyList<Request> requests) => EvoAttentionPlan.Create(requests, _options);

    protected override Tensor States(PackedBatch batch)
    {
        Tensor x = Tokens(batch);
        for (int i = 0; i < _blocks.Count; i++)
            x = _blocks[i].forward(x, (EvoAttentionPlan)batch.Plan, candidatesOnly: i == _blocks.Count - 1);
        return _norm.forward(x);
    }
}
