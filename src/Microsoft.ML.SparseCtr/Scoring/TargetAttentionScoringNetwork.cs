using static Microsoft.ML.SparseCtr.SmallMatrix;

namespace Microsoft.ML.SparseCtr;

/// <summary>Scores as <see cref="TargetAttentionNetwork"/>.</summary>
internal sealed unsafe class TargetAttentionScoringNetwork : ScoringNetwork
{
    private readonly ScoringTargetAttention _attention;
    private readonly int _window;

    public TargetAttentionScoringNetwork(CtrConfig config, TargetAttentionTrainer.Options options, WeightReader weights)
        : base(config, weights, 2 * options.ModelDimension)
    {
        _window = options.LocalWindow;
        _attention = new ScoringTargetAttention(weights.In("attention"), options);
    }

    protected override void WriteStates(Request request, float* states, int stride, Scratch scratch)
    {
        var seen = new SeenTokens(request, scratch);
        SeenTable recent = seen.Latest(_window);
        float* tokens = Tokens(request, seen.Behaviors, seen.Count, scratch), candidates = tokens + (long)seen.Count * Stride;
        int d = Config.Options.ModelDimension;
        CopyRows(candidates, Stride, request.Impressions.Count, d, states, stride);
        _attention.Write(candidates, tokens, Stride, request.Impressions.Count, recent, states + d, stride, scratch);
    }
}

/// <summary>Which tokens each candidate attends to.</summary>
/// <param name="places">[candidates, columns] tokens; negative for none.</param>
/// <param name="columns">Behaviors that a candidate attends to, at most.</param>
/// <param name="tokens">How many tokens, the first ones, any candidate attends to.</param>
internal readonly unsafe struct SeenTable(long* places, int columns, int tokens)
{
    public long* Places => places;

    public int Columns => columns;

    public int Tokens => tokens;
}

/// <summary>The behaviors of a request that any candidate attends to, numbered as they are first met: tokens are made of these alone.</summary>
internal unsafe ref struct SeenTokens
{
    private readonly Request _request;
    private readonly Scratch _scratch;

    /// <summary>Of each behavior of the history, its number and one; 0 where it has none yet.</summary>
    private readonly int* _numbers;

    public SeenTokens(Request request, Scratch scratch)
    {
        (_request, _scratch) = (request, scratch);
        int behaviors = request.HistoryTimestamps.Length;
        Behaviors = scratch.Take<int>(behaviors);
        _numbers = scratch.Take<int>(behaviors);
        new Span<int>(_numbers, behaviors).Clear();
    }

    /// <summary>The behaviors, by their numbers.</summary>
    public int* Behaviors { get; }

    public int Count { get; private set; }

    /// <summary>The latest behaviors of each candidate's past, so many at most.</summary>
    public SeenTable Latest(int count)
    {
        long* places = NewTable(count, out int columns);
        for (int candidate = 0; candidate < _request.Impressions.Count; candidate++)
        {
            Interval seen = new Interval(0, _request.Impressions[candidate].PastLength).Last(count);
            for (int i = 0; i < seen.Count; i++)
                places[(long)candidate * columns + i] = NumberOf(seen.From + i);
        }
        return new SeenTable(places, columns, Count);
    }

    /// <summary>The behaviors of each candidate's past whose fingerprints are nearest to its own.</summary>
    /// <param name="fingerprints">Of the behaviors, and then of the candidates.</param>
    /// <param name="words">Of a fingerprint.</param>
    /// <param name="count">How many are retrieved, at most.</param>
    public SeenTable Nearest(ulong* fingerprints, int words, int count)
    {
        long* places = NewTable(count, out int columns);
        Span<int> found = new(_scratch.Take<int>(columns), columns);
        for (int candidate = 0; candidate < _request.Impressions.Count; candidate++)
        {
            int past = _request.Impressions[candidate].PastLength;
            ReadOnlySpan<ulong> own = new(fingerprints + (long)(_request.HistoryTimestamps.Length + candidate) * words, words);
            int retrieved = HammingSearch.Nearest(own, new ReadOnlySpan<ulong>(fingerprints, past * words), count, found);
            for (int i = 0; i < retrieved; i++)
                places[(long)candidate * columns + i] = NumberOf(found[i]);
        }
        return new SeenTable(places, columns, Count);
    }

    private readonly long* NewTable(int count, out int columns)
    {
        int candidates = _request.Impressions.Count;
        columns = 0;
        foreach (Impression impression in _request.Impressions)
            columns = Math.Max(columns, Math.Min(count, impression.PastLength));
        long* places = _scratch.Take<long>((long)candidates * columns);
        new Span<long>(places, candidates * columns).Fill(SeenBehaviors.None);
        return places;
    }

    private int NumberOf(int behavior)
    {
        if (_numbers[behavior] == 0)
        {
            Behaviors[Count++] = behavior;
            _numbers[behavior] = Count;
        }
        return _numbers[behavior] - 1;
    }
}

/// <summary><see cref="TargetAttention"/>.</summary>
internal sealed unsafe class ScoringTargetAttention
{
    private readonly LinearMap _query, _keyAndValue, _output;
    private readonly int _dimension, _heads;

    public ScoringTargetAttention(WeightReader weights, CtrTrainerOptions options)
    {
        int d = options.ModelDimension;
        (_dimension, _heads) = (d, options.NumberOfHeads);
        _query = new LinearMap(weights, "query", d, d);
        _keyAndValue = new LinearMap((weights.In("key").Take("weight", d, d), null, 0), (weights.In("value").Take("weight", d, d), null, d));
        _output = new LinearMap(weights, "output", d, d);
    }

    /// <summary>Writes what each candidate attends to.</summary>
    /// <param name="candidates">[C, d].</param>
    /// <param name="tokens">[n, d].</param>
    /// <param name="stride">From a candidate or token to the next.</param>
    /// <param name="count">C.</param>
    /// <param name="seen">Who sees whom.</param>
    /// <param name="output">[C, d].</param>
    /// <param name="outputStride">From an output to the next.</param>
    /// <param name="scratch">Memory.</param>
    public void Write(float* candidates, float* tokens, int stride, int count, SeenTable seen, float* output, int outputStride, Scratch scratch)
    {
        (int, long) taken = scratch.Taken;
        float* queries = scratch.TakeRows(count, stride), attended = scratch.TakeRows(count, stride), mapped = scratch.TakeRows(count, stride);
        float* keysAndValues = scratch.TakeRows(seen.Tokens, _keyAndValue.Stride);
        _query.Apply(candidates, stride, count, queries, stride);
        _keyAndValue.Apply(tokens, stride, seen.Tokens, keysAndValues, _keyAndValue.Stride);
        new Span<float>(attended, count * stride).Clear();
        new TargetAttentionKernel(count, seen.Columns, _heads, _dimension / _heads)
        {
            Queries = queries,
            QueryStride = stride,
            KeysAndValues = keysAndValues,
            KeyStride = _keyAndValue.Stride,
            Places = seen.Places,
            Output = attended,
        }.Compute(0, _heads);
        _output.Apply(attended, stride, count, mapped, stride);
        CopyRows(mapped, stride, count, _dimension, output, outputStride);
        scratch.Release(taken);
    }
}
