using System.Numerics;
using static Microsoft.ML.SparseCtr.SmallMatrix;

namespace Microsoft.ML.SparseCtr;

/// <summary>Scores as <see cref="SparseCtrNetwork"/>.</summary>
internal sealed unsafe class SparseCtrScoringNetwork : ScoringNetwork
{
    private readonly SelfAttentionOptions _options;
    private readonly ScoringBlock[] _blocks;

    /// <summary>Who sees whom.</summary>
    private readonly Pool<EvoAttentionPlan> _plans;
    private readonly ScoringNorm _norm;

    public SparseCtrScoringNetwork(CtrConfig config, SelfAttentionOptions options, WeightReader weights) : base(config, weights, options.ModelDimension)
    {
        _options = options;
        _plans = new(() => new EvoAttentionPlan(options));
        _blocks = Enumerable.Range(0, options.NumberOfBlocks).Select(i => new ScoringBlock(weights.In("blocks").In($"{i}"), options)).ToArray();
        _norm = new ScoringNorm(weights.In("norm"), options.ModelDimension);
    }

    public override HistoryEncoding NewEncoding() => new(_options);

    protected override void WriteStates(Request request, float* states, int stride, Scratch scratch)
    {
        int behaviors = request.Encoding is null ? request.HistoryTimestamps.Length : 0;
        float* x = Tokens(request, behaviors: null, behaviors, scratch);
        if (request.Encoding is { } history)
            PassThrough(history, request, x, scratch);
        else
            PassThrough(request, x, keysAndValues: null, step: 0, scratch);
        _norm.Apply(x + (long)behaviors * Stride, Stride, request.Impressions.Count, states, stride);
    }

    /// <summary>All of a request at once.</summary>
    /// <param name="request">The request.</param>
    /// <param name="x">[tokens, d].</param>
    /// <param name="keysAndValues">[tokens, 2·d] receives the keys and values of the first block; null where none are wanted.</param>
    /// <param name="step">From there to those of the next.</param>
    /// <param name="scratch">Memory.</param>
    private void PassThrough(Request request, float* x, float* keysAndValues, long step, Scratch scratch)
    {
        EvoAttentionPlan plan = _plans.Rent();
        plan.Fill([request]);
        for (int i = 0; i < _blocks.Length; i++)
        {
            float* ofBlock = keysAndValues == null ? null : keysAndValues + i * step;
            _blocks[i].AddTo(x, Stride, plan, candidatesOnly: i == _blocks.Length - 1, ofBlock, scratch);
        }
        _plans.Return(plan);
    }

    /// <summary>Candidates whose history is encoded.</summary>
    private void PassThrough(HistoryEncoding history, Request request, float* x, Scratch scratch, AttentionRecord? record = null)
    {
        int count = request.Impressions.Count, rows = 0;
        int* rowOf = scratch.Take<int>(count);
        for (int i = 0; i < count; i++)
            rowOf[i] = i == 0 ? 0 : request.Impressions[i].Timestamp == request.Impressions[i - 1].Timestamp ? rowOf[i - 1] : ++rows;
        SeenHistory seen = new(history, scratch.Take<float>(SeenHistory.SizeOf(history, rows + 1)), rowOf);
        for (int i = 0; i < count; i++)
        {
            if (i == 0 || rowOf[i] != rowOf[i - 1])
                history.WritePairs(Moment.Of(request.Impressions[i].Timestamp, _options), seen.Row(rowOf[i]), behavior: null);
        }
        float* keysAndValues = scratch.TakeRows(count, _blocks[0].KeyStride);
        for (int i = 0; i < _blocks.Length; i++)
            _blocks[i].AddTo(x, Stride, count, seen, i, goesOn: true, keysAndValues, scratch, i == _blocks.Length - 1 ? record : null);
    }

    protected override AttentionMap Explain(HistoryEncoding history, Request request, Scratch scratch)
    {
        var record = new AttentionRecord(_options.NumberOfHeads, history.Width);
        PassThrough(history, request, Tokens(request, behaviors: null, count: 0, scratch), scratch, record);
        return history.MapOf(record);
    }

    protected override void Encode(HistoryEncoding history, Request events, Scratch scratch)
    {
        long[] times = events.HistoryTimestamps;
        history.Expect(times);
        if (history.Count > 0)
        {
            while (history.Count < times.Length)
                Append(history, events, scratch);
            return;
        }
        int stride = _blocks[0].KeyStride;
        long step = (long)times.Length * stride;
        float* x = Tokens(events, behaviors: null, times.Length, scratch), keysAndValues = scratch.TakeRows(_blocks.Length * (long)times.Length, stride);
        PassThrough(events, x, keysAndValues, step, scratch);
        foreach (long time in times)
        {
            Arrival arrival = history.Arrive(times);
            for (int i = 0; i < _blocks.Length; i++)
                history.Add(i, arrival, new(keysAndValues + i * step + (long)arrival.Event * stride, 2 * _options.ModelDimension));
            history.Complete(arrival, Moment.Of(time, _options));
        }
    }

    /// <summary>The next one of some events.</summary>
    private void Append(HistoryEncoding history, Request events, Scratch scratch)
    {
        (int, long) taken = scratch.Taken;
        Arrival arrival = history.Arrive(events.HistoryTimestamps);
        Moment moment = Moment.Of(events.HistoryTimestamps[arrival.Event], _options);
        int place = arrival.Event, row = 0;
        SeenHistory seen = new(history, scratch.Take<float>(SeenHistory.SizeOf(history, 1)), &row);
        history.WritePairs(moment, seen.Row(0), arrival);
        float* x = Tokens(events, &place, 1, scratch), keyAndValue = scratch.TakeRows(1, _blocks[0].KeyStride);
        // Every block sees the columns of those before it as they were, and its own get the event once it has seen them.
        for (int i = 0; i < _blocks.Length; i++)
        {
            _blocks[i].AddTo(x, Stride, 1, seen, i, goesOn: i < _blocks.Length - 1, keyAndValue, scratch);
            history.Add(i, arrival, new(keyAndValue, 2 * _options.ModelDimension));
        }
        history.Complete(arrival, moment);
        scratch.Release(taken);
    }
}

/// <summary><see cref="SparseBlock"/>.</summary>
internal sealed unsafe class ScoringBlock
{
    private readonly ScoringNorm _attentionNorm;
    private readonly ScoringAttention _attention;
    private readonly ScoringFeedForward _feedForward;

    public ScoringBlock(WeightReader weights, SelfAttentionOptions options)
    {
        int d = options.ModelDimension;
        _attentionNorm = new ScoringNorm(weights.In("attention_norm"), d);
        _attention = new ScoringAttention(weights.In("attention"), options);
        _feedForward = new ScoringFeedForward(new ScoringNorm(weights.In("feed_forward_norm"), d), weights.In("feed_forward"), d, options.FeedForwardDimension);
    }

    /// <summary>From a token's key and value to the next's.</summary>
    public int KeyStride => _attention.KeyStride;

    /// <summary>x += EvoAttention(RMSNorm(x)); x += SwiGLU(RMSNorm(x)).</summary>
    /// <param name="x">[tokens, d], packed as the plan says.</param>
    /// <param name="stride">From a token to the next.</param>
    /// <param name="plan">Who sees whom.</param>
    /// <param name="candidatesOnly">Whether only the candidates go on, as after the last block.</param>
    /// <param name="keysAndValues">[tokens, 2·d] receives those of the tokens; null where they are not wanted.</param>
    /// <param name="scratch">Memory.</param>
    public void AddTo(float* x, int stride, EvoAttentionPlan plan, bool candidatesOnly, float* keysAndValues, Scratch scratch)
    {
        (int, long) taken = scratch.Taken;
        int first = candidatesOnly ? plan.BehaviorCount : 0, count = plan.TokenCount - first;
        float* normed = scratch.TakeRows(plan.TokenCount, stride), goingOn = x + (long)first * stride;
        _attentionNorm.Apply(x, stride, plan.TokenCount, normed, stride);
        _attention.AddTo(goingOn, normed, stride, plan, candidatesOnly, keysAndValues, scratch);
        scratch.Release(taken);
        _feedForward.AddTo(goingOn, stride, count, scratch);
    }

    /// <summary>The same of tokens that see an encoded history and themselves.</summary>
    /// <param name="x">[tokens, d].</param>
    /// <param name="stride">From a token to the next.</param>
    /// <param name="count">Tokens.</param>
    /// <param name="seen">The history as they see it.</param>
    /// <param name="block">The number of the block.</param>
    /// <param name="goesOn">Whether x is wanted, and not the keys and values alone.</param>
    /// <param name="keysAndValues">[tokens, 2·d] receives those of the tokens.</param>
    /// <param name="scratch">Memory.</param>
    /// <param name="record">Receives what the first token attends to; null where no one asks.</param>
    public void AddTo(
        float* x, int stride, int count, SeenHistory seen, int block, bool goesOn, float* keysAndValues, Scratch scratch, AttentionRecord? record = null)
    {
        (int, long) taken = scratch.Taken;
        float* normed = scratch.TakeRows(count, stride);
        _attentionNorm.Apply(x, stride, count, normed, stride);
        _attention.AddTo(x, normed, stride, count, seen, block, goesOn, keysAndValues, scratch, record);
        scratch.Release(taken);
        if (goesOn)
            _feedForward.AddTo(x, stride, count, scratch);
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

    public ScoringAttention(WeightReader weights, SelfAttentionOptions options)
    {
        (_shape, _dimension, _heads) = (options.Shape, options.ModelDimension, options.NumberOfHeads);
        int d = _dimension, gates = Branches * _heads;
        // Before format version 5 gates had no bias.
        WeightReader gate = weights.In("gate");
        _queryAndGate = new LinearMap((weights.In("query").Take("weight", d, d), null, 0), (gate.Take("weight", gates, d), gate.TakeIfThere("bias", gates), d));
        _keyAndValue = new LinearMap((weights.In("key").Take("weight", d, d), null, 0), (weights.In("value").Take("weight", d, d), null, d));
        _output = new LinearMap(weights, "output", d, d);
        // Gates are made in whole vectors from the first on.
        _queryStride = RoundUp(d + RoundUp(gates, Lanes), Lanes);

        Weight coefficients = weights.In("temporal").Take(RelTemporal.CoefficientsName, _heads, 3);
        _coefficients = new NativeBuffer<float>(coefficients.Count);
        for (int i = 0; i < coefficients.Count; i++)
            _coefficients.Pointer[i] = options.TemporalTerms.HasFlag((TemporalTerms)(1 << i % 3)) ? coefficients.Values[i] : 0;
        GC.KeepAlive(coefficients);
    }

    /// <summary>From a token's key and value to the next's.</summary>
    public int KeyStride => _keyAndValue.Stride;

    /// <summary>Adds what the attention gives to the tokens that go on.</summary>
    /// <param name="goingOn">[queries, d] all tokens, or the candidates.</param>
    /// <param name="normed">[tokens, d] all tokens, normalized.</param>
    /// <param name="stride">From a token to the next, in both.</param>
    /// <param name="plan">Who sees whom.</param>
    /// <param name="candidatesOnly">Whether the candidates are the only queries.</param>
    /// <param name="keysAndValues">[tokens, 2·d] receives those of the tokens; null where they are not wanted.</param>
    /// <param name="scratch">Memory.</param>
    public void AddTo(float* goingOn, float* normed, int stride, EvoAttentionPlan plan, bool candidatesOnly, float* keysAndValues, Scratch scratch)
    {
        (int, long) taken = scratch.Taken;
        int tokens = plan.TokenCount, first = candidatesOnly ? plan.BehaviorCount : 0, queries = tokens - first;
        float* queriesAndGates = QueriesAndGates(normed + (long)first * stride, stride, queries, scratch), attended = scratch.TakeRows(queries, stride);
        bool areColumns = keysAndValues == null && candidatesOnly && plan.HasFewColumns;
        int keys = areColumns ? plan.ColumnCount : tokens;
        if (keysAndValues == null)
            keysAndValues = scratch.TakeRows(keys, KeyStride);
        float* seen = normed;
        if (areColumns)
            plan.GatherColumns(normed, seen = scratch.TakeRows(keys, stride), stride, stride);
        _keyAndValue.Apply(seen, stride, keys, keysAndValues, KeyStride);
        new EvoAttentionKernel
        {
            Plan = plan,
            CandidatesOnly = candidatesOnly,
            OfColumns = areColumns,
            Heads = _heads,
            HeadDimension = _dimension / _heads,
            QueriesAndGates = queriesAndGates,
            QueryStride = _queryStride,
            KeysAndValues = keysAndValues,
            KeyStride = KeyStride,
            Coefficients = _coefficients.Pointer,
            Output = attended,
            OutputStride = stride,
            MaximumThreads = 1,
        }.Run();
        _output.Apply(attended, stride, queries, goingOn, stride, adds: true);
        scratch.Release(taken);
        GC.KeepAlive(this);
    }

    /// <summary>Adds what it gives to tokens that see an encoded history and themselves: for the parameters see <see cref="ScoringBlock"/>.</summary>
    public void AddTo(
        float* x, float* normed, int stride, int count, SeenHistory seen, int block, bool goesOn, float* keysAndValues, Scratch scratch, AttentionRecord? record)
    {
        _keyAndValue.Apply(normed, stride, count, keysAndValues, KeyStride);
        if (!goesOn)
            return;
        (int, long) taken = scratch.Taken;
        float* queriesAndGates = QueriesAndGates(normed, stride, count, scratch), attended = scratch.TakeRows(count, stride);
        new EncodedAttention
        {
            Seen = seen,
            Block = block,
            Record = record,
            Heads = _heads,
            HeadDimension = _dimension / _heads,
            QueriesAndGates = queriesAndGates,
            QueryStride = _queryStride,
            KeysAndValues = keysAndValues,
            KeyStride = KeyStride,
            Coefficients = _coefficients.Pointer,
            Output = attended,
            OutputStride = stride,
        }.Run(count, scratch);
        _output.Apply(attended, stride, count, x, stride, adds: true);
        scratch.Release(taken);
        GC.KeepAlive(this);
    }

    private float* QueriesAndGates(float* normed, int stride, int queries, Scratch scratch)
    {
        float* queriesAndGates = scratch.TakeRows(queries, _queryStride);
        _queryAndGate.Apply(normed, stride, queries, queriesAndGates, _queryStride);
        OpenGates(queriesAndGates + _dimension, queries);
        return queriesAndGates;
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
