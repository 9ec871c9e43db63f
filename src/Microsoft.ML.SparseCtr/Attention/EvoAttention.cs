using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// The three-branch sparse self-attention of SparseCTR (arXiv:2601.17836). A query attends, in three softmaxes of their own, to
/// <list type="bullet">
/// <item><b>global</b> interests: the mean key and value of each chunk that is complete before it;</item>
/// <item><b>transitions</b>: the last r behaviors of each of those chunks;</item>
/// <item><b>local</b> interests: the w latest behaviors, itself included;</item>
/// </list>
/// the first two with the zero token p_0 beside them, and sums the three by gates of its own, per head:
/// out_i = Σ_branch σ(W_g x_i + b_g)_{branch,head} · A_branch(i).
/// <para>
/// It is written three times: fused, in <see cref="EvoAttentionKernel"/> and for GPUs in <see cref="CudaEvoAttention"/>, and here in plain tensor operators, the reference that faster
/// implementations are held to.
/// </para>
/// </summary>
internal sealed class EvoAttention : nn.Module<Tensor, EvoAttentionPlan, bool, Tensor>, IAttention
{
    private const int Branches = EvoAttentionLayout.Branches;

    private readonly Linear _query, _key, _value, _gate, _output;
    private readonly RelTemporal _temporal;
    private readonly int _heads;
    private readonly int _headDimension;
    private readonly AttentionImplementation _implementation;
    private readonly AttentionShape _shape;

    public EvoAttention(SelfAttentionOptions options) : base(nameof(EvoAttention))
    {
        int d = options.ModelDimension;
        (_implementation, _shape) = (options.AttentionImplementation, options.Shape);
        (_heads, _headDimension) = (options.NumberOfHeads, d / options.NumberOfHeads);
        register_module("query", _query = nn.Linear(d, d, hasBias: false));
        register_module("key", _key = nn.Linear(d, d, hasBias: false));
        register_module("value", _value = nn.Linear(d, d, hasBias: false));
        register_module("gate", _gate = nn.Linear(d, Branches * _heads));
        register_module("output", _output = nn.Linear(d, d, hasBias: false));
        register_module("temporal", _temporal = new RelTemporal(_heads, options.TemporalTerms));
    }

    /// <summary>
    /// Keys start as the queries, by which a token attends to those that are like itself. And heads start in the local branch: the far ones, which share its space of values,
    /// begin almost shut and open where they help. Heads that begin with the sum of all branches learn less.
    /// </summary>
    public void PrepareFirstWeights()
    {
        const float open = 2, shut = -open;
        _key.weight!.copy_(_query.weight!);
        if (!_shape.Branches.HasFlag(AttentionBranches.Local) || _shape.Branches == AttentionBranches.Local)
            return;
        int far = (Branches - 1) * _heads;
        _gate.bias!.narrow(0, 0, far).fill_(shut);
        _gate.bias!.narrow(0, far, _heads).fill_(open);
    }

    /// <param name="x">[tokens, d] the normalized tokens of the batch, packed as the plan says.</param>
    /// <param name="plan">Who sees whom.</param>
    /// <param name="candidatesOnly">Whether only the candidates' outputs are wanted, as in the last block.</param>
    /// <returns>[tokens, d], or [candidates, d].</returns>
    public override Tensor forward(Tensor x, EvoAttentionPlan plan, bool candidatesOnly)
    {
        bool isFused = _implementation == AttentionImplementation.Fused;
        if (isFused && CudaEvoAttention.Supports(x, _headDimension))
            return OnGpu(x, plan, candidatesOnly);
        // The norm may have rounded to bfloat16, which is for the kernel alone.
        x = x.to(_key.weight!.dtype);
        return _output.forward(isFused && TensorMemory.IsDirect(x) ? Fused(x, plan, candidatesOnly) : Reference(x, plan.LayoutFor(x), candidatesOnly));
    }

    private Tensor OnGpu(Tensor x, EvoAttentionPlan plan, bool candidatesOnly)
    {
        Tensor attended = CudaEvoAttentionFunction.apply(
            x, _query.weight, _key.weight, _value.weight, _gate.weight, _gate.bias!, _temporal.Coefficients(), plan, candidatesOnly);
        return nn.functional.linear(attended, _output.weight.to(attended.dtype));
    }

    private Tensor Fused(Tensor x, EvoAttentionPlan plan, bool candidatesOnly) => EvoAttentionFunction.apply(
        x, _query.weight, _key.weight, _value.weight, _gate.weight, _gate.bias!, _temporal.Coefficients(), plan, candidatesOnly);

    private Tensor Reference(Tensor x, EvoAttentionLayout layout, bool candidatesOnly)
    {
        Tensor keysAndValues = KeyMatrix(cat([_key.forward(x), _value.forward(x)], 1), layout);
        Tensor candidates = Attend(x, layout.Candidates, keysAndValues);
        return candidatesOnly ? candidates : cat([Attend(x, layout.Behaviors!, keysAndValues), candidates]);
    }

    /// <summary>The rows that a query may see: every token, the mean of every chunk, and the zero token.</summary>
    private static Tensor KeyMatrix(Tensor tokens, EvoAttentionLayout layout)
    {
        long width = tokens.shape[1];
        Tensor members = tokens.index_select(0, layout.Member);
        Tensor sums = zeros(layout.ChunkCount, width, tokens.dtype, tokens.device).index_add(0, layout.ChunkOfMember, members, 1);
        return cat([tokens, sums * layout.InverseChunkLength, zeros(1, width, tokens.dtype, tokens.device)]);
    }

    private Tensor Attend(Tensor x, QueryGroups group, Tensor keysAndValues)
    {
        (long groups, long size) = (group.Groups, group.Size);
        Tensor asking = x.index_select(0, group.QueryIndex);
        Tensor query = Heads(_query.forward(asking), groups, size);
        Tensor gates = _gate.forward(asking).sigmoid().reshape(groups, size, Branches, _heads, 1).permute(2, 0, 3, 1, 4);

        Tensor sum = zeros_like(query);
        for (int branch = 0; branch < Branches; branch++)
        {
            if (_shape.Has(branch))
                sum = sum + gates[branch] * Attend(query, group.Branches[branch], keysAndValues);
        }
        return sum.transpose(1, 2).reshape(groups * size, _heads * _headDimension).index_select(0, group.OutputIndex);
    }

    /// <summary>softmax(q·kᵀ/√d_h + bias)·v over the keys of one branch: [G, H, S, d_h].</summary>
    private Tensor Attend(Tensor query, BranchLayout branch, Tensor keysAndValues)
    {
        (long groups, long size, long count) = (query.shape[0], query.shape[2], branch.Hidden.shape[3]);
        // One gather for both: its gradient, row by row, is what a step spends most time on.
        Tensor[] seen = keysAndValues.index_select(0, branch.KeyIndex).chunk(2, 1);
        Tensor key = Heads(seen[0], groups, count), value = Heads(seen[1], groups, count);
        Tensor bias = _temporal.forward(branch.Temporal).reshape(groups * _heads, size, count);

        Tensor logits = bias + Merge(query).bmm(Merge(key).transpose(1, 2)) / MathF.Sqrt(_headDimension);
        Tensor visible = logits.reshape(groups, _heads, size, count).masked_fill(branch.Hidden, double.NegativeInfinity);
        Tensor attended = Merge(visible.softmax(-1)).bmm(Merge(value));
        return attended.reshape(groups, _heads, size, _headDimension);
    }

    /// <summary>[G·S, d] → [G, H, S, d_h].</summary>
    private Tensor Heads(Tensor packed, long groups, long size)
        => packed.reshape(groups, size, _heads, _headDimension).transpose(1, 2);

    /// <summary>[G, H, …] → [G·H, …], the shape of a batched product.</summary>
    private static Tensor Merge(Tensor tensor)
        => tensor.reshape(tensor.shape[0] * tensor.shape[1], tensor.shape[2], tensor.shape[3]);
}
