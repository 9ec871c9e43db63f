using System.Numerics;
using static Microsoft.ML.SparseCtr.SmallMatrix;

namespace Microsoft.ML.SparseCtr;

/// <summary>Scores as <see cref="SparseCtrNetwork"/>.</summary>
internal sealed unsafe class SparseCtrScoringNetwork : ScoringNetwork
{
    private readonly ScoringBlock[] _blocks;

    /// <summary>For each attention of a block, who sees whom.</summary>
    private readonly Pool<EvoAttentionPlan[]> _plans;
    private readonly ScoringNorm _norm;

    public SparseCtrScoringNetwork(CtrConfig config, SelfAttentionOptions options, WeightReader weights) : base(config, weights, options.ModelDimension)
    {
        _plans = new(() => ScoringBlock.Attentions(options).Select(_ => new EvoAttentionPlan(options)).ToArray());
        _blocks = Enumerable.Range(0, options.NumberOfBlocks).Select(i => new ScoringBlock(weights.In("blocks").In($"{i}"), options)).ToArray();
        _norm = new ScoringNorm(weights.In("norm"), options.ModelDimension);
    }

    protected override void WriteStates(Request request, float* states, int stride, Scratch scratch)
    {
        int behaviors = request.HistoryTimestamps.Length, candidates = request.Impressions.Count;
        EvoAttentionPlan[] plans = _plans.Rent();
        foreach (EvoAttentionPlan plan in plans)
            plan.Fill([request]);
        float* x = Tokens(request, behaviors: null, behaviors, scratch);
        for (int i = 0; i < _blocks.Length; i++)
            _blocks[i].AddTo(x, Stride, plans, candidatesOnly: i == _blocks.Length - 1, scratch);
        _norm.Apply(x + (long)behaviors * Stride, Stride, candidates, states, stride);
        _plans.Return(plans);
    }
}

/// <summary><see cref="SparseBlock"/>: the outputs of its attentions, one or several side by side, are added.</summary>
internal sealed unsafe class ScoringBlock
{
    private readonly ScoringNorm _attentionNorm;
    private readonly ScoringAttention[] _attentions;
    private readonly ScoringFeedForward _feedForward;

    public ScoringBlock(WeightReader weights, SelfAttentionOptions options)
    {
        int d = options.ModelDimension;
        _attentionNorm = new ScoringNorm(weights.In("attention_norm"), d);
        _attentions = Attentions(options).Select(attention => new ScoringAttention(weights.In(attention.Name), attention.Shape, options)).ToArray();
        _feedForward = new ScoringFeedForward(new ScoringNorm(weights.In("feed_forward_norm"), d), weights.In("feed_forward"), d, options.FeedForwardDimension);
    }

    /// <summary>The attentions of every block: their names among its weights, and who attends to whom in each.</summary>
    public static IEnumerable<(string Name, AttentionShape Shape)> Attentions(SelfAttentionOptions options) => [("attention", options.Shape)];

    /// <summary>x += Σ EvoAttention(RMSNorm(x)); x += SwiGLU(RMSNorm(x)).</summary>
    /// <param name="x">[tokens, d], packed as the plans say.</param>
    /// <param name="stride">From a token to the next.</param>
    /// <param name="plans">Who sees whom in each attention.</param>
    /// <param name="candidatesOnly">Whether only the candidates go on, as after the last block.</param>
    /// <param name="scratch">Memory.</param>
    public void AddTo(float* x, int stride, ReadOnlySpan<EvoAttentionPlan> plans, bool candidatesOnly, Scratch scratch)
    {
        (int, long) taken = scratch.Taken;
        int first = candidatesOnly ? plans[0].BehaviorCount : 0, count = plans[0].TokenCount - first;
        float* normed = scratch.TakeRows(plans[0].TokenCount, stride), goingOn = x + (long)first * stride;
        _attentionNorm.Apply(x, stride, plans[0].TokenCount, normed, stride);
        for (int i = 0; i < _attentions.Length; i++)
            _attentions[i].AddTo(goingOn, normed, stride, plans[i], candidatesOnly, scratch);
        scratch.Release(taken);
        _feedForward.AddTo(goingOn, stride, count, scratch);
    }
}

/// <summary><see cref="EvoAttention"/>.</summary>
internal sealed unsafe class ScoringAttention
{
    private const int Branches = EvoAttentionLayout.Branches;

    private readonly LinearMap _queryAndGate, _keyAndValue, _output;
    private readonly NativeBuffer<float> _coefficients;
    private readonly AttentionShape _shape;
    private readonly int _dimension, _heads, _queryStride;

    public ScoringAttention(WeightReader weights, AttentionShape shape, SelfAttentionOptions options)
    {
        (_shape, _dimension, _heads) = (shape, options.ModelDimension, options.NumberOfHeads);
        int d = _dimension, gates = Branches * _heads;
        _queryAndGate = new LinearMap(null, (weights.In("query").Take("weight", d, d), 0), (weights.In("gate").Take("weight", gates, d), d));
        _keyAndValue = new LinearMap(null, (weights.In("key").Take("weight", d, d), 0), (weights.In("value").Take("weight", d, d), d));
        _output = new LinearMap(weights, "output", d, d);
        // Gates are made in whole vectors from the first on.
        _queryStride = RoundUp(d + RoundUp(gates, Lanes), Lanes);

        Weight coefficients = weights.In("temporal").Take(RelTemporal.CoefficientsName, _heads, 3);
        _coefficients = new NativeBuffer<float>(coefficients.Count);
        for (int i = 0; i < coefficients.Count; i++)
            _coefficients.Pointer[i] = options.TemporalTerms.HasFlag((TemporalTerms)(1 << i % 3)) ? coefficients.Values[i] : 0;
        GC.KeepAlive(coefficients);
    }

    /// <summary>Adds what the attention gives to the tokens that go on.</summary>
    /// <param name="goingOn">[queries, d] all tokens, or the candidates.</param>
    /// <param name="normed">[tokens, d] all tokens, normalized.</param>
    /// <param name="stride">From a token to the next, in both.</param>
    /// <param name="plan">Who sees whom.</param>
    /// <param name="candidatesOnly">Whether the candidates are the only queries.</param>
    /// <param name="scratch">Memory.</param>
    public void AddTo(float* goingOn, float* normed, int stride, EvoAttentionPlan plan, bool candidatesOnly, Scratch scratch)
    {
        (int, long) taken = scratch.Taken;
        int tokens = plan.TokenCount, first = candidatesOnly ? plan.BehaviorCount : 0, queries = tokens - first;
        float* queriesAndGates = scratch.TakeRows(queries, _queryStride), keysAndValues = scratch.TakeRows(tokens, _keyAndValue.Stride);
        float* attended = scratch.TakeRows(queries, stride);
        _queryAndGate.Apply(normed + (long)first * stride, stride, queries, queriesAndGates, _queryStride);
        _keyAndValue.Apply(normed, stride, tokens, keysAndValues, _keyAndValue.Stride);
        OpenGates(queriesAndGates + _dimension, queries);
        new EvoAttentionKernel
        {
            Plan = plan,
            CandidatesOnly = candidatesOnly,
            Heads = _heads,
            HeadDimension = _dimension / _heads,
            QueriesAndGates = queriesAndGates,
            QueryStride = _queryStride,
            KeysAndValues = keysAndValues,
            KeyStride = _keyAndValue.Stride,
            Coefficients = _coefficients.Pointer,
            Output = attended,
            OutputStride = stride,
            MaximumThreads = 1,
        }.Run();
        _output.Apply(attended, stride, queries, goingOn, stride, adds: true);
        scratch.Release(taken);
        GC.KeepAlive(this);
    }

    /// <summary>Makes what was computed for the gates [3, H] of each query numbers between 0 and 1; those of a branch that is left out are shut.</summary>
    private void OpenGates(float* gates, int queries)
    {
        for (int query = 0; query < queries; query++, gates += _queryStride)
        {
            for (int i = 0; i < Branches * _heads; i += Lanes)
                Sigmoid(Vector.Load(gates + i)).Store(gates + i);
            for (int branch = 0; branch < Branches; branch++)
            {
                if (!_shape.Has(branch))
                    new Span<float>(gates + branch * _heads, _heads).Clear();
            }
        }
    }
}
