using System.Numerics;
using static Microsoft.ML.SparseCtr.SmallMatrix;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// A trained network that scores in .NET code alone: what <see cref="CtrNetwork"/> computes, to rounding, one request at a time on the calling thread. All have in
/// common what <see cref="CtrNetwork"/> says they have. Safe for concurrent use; weights are freed when no one refers to the network any more.
/// </summary>
internal abstract unsafe class ScoringNetwork
{
    /// <summary>Tokens whose embeddings are gathered at a time: they stay in the cache until they are mapped.</summary>
    private const int TokensPerBlock = 64;

    private readonly Embedding[] _sequence, _candidate, _user;
    private readonly LinearMap _token;
    private readonly LinearMap? _candidateToken;
    private readonly LinearMap _hidden, _logit;
    private readonly float[] _mean, _inverseDeviation;
    private readonly Lazy<byte[]> _identity;
    private readonly Pool<Scratch> _scratch = new(() => new Scratch());
    private readonly int _stateDimension;

    /// <param name="config">The network.</param>
    /// <param name="weights">Its weights, of which a derived class takes its own.</param>
    /// <param name="stateDimension">Numbers of a candidate's state.</param>
    protected ScoringNetwork(CtrConfig config, WeightReader weights, int stateDimension)
    {
        (Config, Weights, _stateDimension) = (config, weights.Weights, stateDimension);
        _identity = new(() => ModelFile.Identity(Config, Weights));
        _mean = config.NumericFields.SelectMany(field => field.Mean).ToArray();
        _inverseDeviation = config.NumericFields.SelectMany(field => field.StandardDeviation).Select(deviation => 1 / deviation).ToArray();
        int d = config.Options.ModelDimension, e = config.Options.EmbeddingDimension, candidateInputs = config.CandidateFields.Length * e + NumberCount;
        _sequence = Embeddings("sequence_tables", config.SequenceFields);
        _candidate = Embeddings("candidate_tables", config.CandidateFields);
        _user = Embeddings("user_tables", config.UserFields);
        _token = new LinearMap(weights, "token", config.SequenceFields.Length * e, d, hasBias: true);
        _candidateToken = candidateInputs > 0 ? new LinearMap(weights, "candidate_token", candidateInputs, d) : null;
        _hidden = new LinearMap(weights, "hidden", HeadInputs, config.Options.HeadDimension, hasBias: true);
        _logit = new LinearMap(weights, "logit", config.Options.HeadDimension, 1, hasBias: true);

        Embedding[] Embeddings(string name, KeyField[] fields)
            => fields.Select((field, i) => new Embedding(weights.In(name).In($"{i}"), field, e)).ToArray();
    }

    public CtrConfig Config { get; }

    /// <summary>What the network was made of: what is saved.</summary>
    public Weights Weights { get; }

    /// <summary>32 bytes that no network has which differs in anything.</summary>
    public ReadOnlyMemory<byte> Identity => _identity.Value;

    /// <summary>Numbers of a row.</summary>
    public int NumberCount => _mean.Length;

    /// <summary>From a row of d numbers to the next.</summary>
    protected int Stride => _token.Stride;

    /// <summary>What embeds each field of a token.</summary>
    protected IReadOnlyList<Embedding> SequenceEmbeddings => _sequence;

    private int HeadInputs => _stateDimension + _user.Length * Config.Options.EmbeddingDimension + NumberCount;

    /// <exception cref="FormatException">The weights are not those of such a network: one is missing, of another shape, or too many.</exception>
    public static ScoringNetwork Create(CtrConfig config, Weights weights)
    {
        var reader = new WeightReader(weights);
        ScoringNetwork network = config.Options.CreateScoringNetwork(config, reader);
        reader.CheckAllTaken();
        return network;
    }

    /// <summary>The logits of a request's impressions.</summary>
    public float[] Score(Request request)
    {
        var logits = new float[request.Impressions.Count];
        Score(request, logits);
        return logits;
    }

    /// <summary>Writes the logits of a request's impressions.</summary>
    public void Score(Request request, Span<float> logits)
    {
        using var loan = new Loan(this);
        int inputs = HeadInputs, candidates = request.Impressions.Count;
        float* states = loan.Scratch.TakeRows(candidates, inputs);
        WriteStates(request, states, inputs, loan.Scratch);
        WriteFeatures(request, _user, static impression => impression.UserKeys, states + _stateDimension, inputs, loan.Scratch);
        Head(states, logits, loan.Scratch);
    }

    /// <summary>Something to encode a history in, for many requests that have it; null if the network keeps no more of one than its events.</summary>
    public virtual HistoryEncoding? NewEncoding() => null;

    /// <summary>Encodes those of some events that are not in an encoding of this network yet.</summary>
    public void Encode(HistoryEncoding history, Request events)
    {
        using var loan = new Loan(this);
        Encode(history, events, loan.Scratch);
    }

    /// <summary>What a request's candidate attends to in the last block.</summary>
    public AttentionMap Explain(HistoryEncoding history, Request request)
    {
        using var loan = new Loan(this);
        return Explain(history, request, loan.Scratch);
    }

    /// <summary>The memory of one call, which goes back to the pool at its end. Until then the network, and so its weights, are in use.</summary>
    private readonly ref struct Loan(ScoringNetwork network)
    {
        public Scratch Scratch { get; } = network._scratch.Rent();

        public void Dispose()
        {
            Scratch.Clear();
            network._scratch.Return(Scratch);
            GC.KeepAlive(network);
        }
    }

    /// <inheritdoc cref="Encode(HistoryEncoding, Request)"/>
    protected virtual void Encode(HistoryEncoding history, Request events, Scratch scratch) => throw new NotSupportedException();

    /// <inheritdoc cref="Explain(HistoryEncoding, Request)"/>
    protected virtual AttentionMap Explain(HistoryEncoding history, Request request, Scratch scratch) => throw new NotSupportedException();

    /// <summary>Writes what the network makes of each candidate.</summary>
    /// <param name="request">The request.</param>
    /// <param name="states">[candidates, state dimension].</param>
    /// <param name="stride">From a state to the next.</param>
    /// <param name="scratch">Memory.</param>
    protected abstract void WriteStates(Request request, float* states, int stride, Scratch scratch);

    /// <summary>Tokens: [n + candidates, d] of n behaviors, and then of all candidates, each row filled with zeros up to <see cref="Stride"/>.</summary>
    /// <param name="request">The request.</param>
    /// <param name="behaviors">[n] the behaviors that are wanted; null for all.</param>
    /// <param name="count">n.</param>
    /// <param name="scratch">Memory, of which the tokens' is taken.</param>
    protected float* Tokens(Request request, int* behaviors, int count, Scratch scratch)
    {
        int candidates = request.Impressions.Count, stride = Stride;
        float* x = scratch.TakeRows(count + candidates, stride);
        (int, long) taken = scratch.Taken;
        int e = Config.Options.EmbeddingDimension, width = _sequence.Length * e;
        float* embedded = scratch.TakeRows(TokensPerBlock, width);
        for (int first = 0; first < count + candidates; first += TokensPerBlock)
        {
            int rows = Math.Min(TokensPerBlock, count + candidates - first);
            for (int field = 0; field < _sequence.Length; field++)
            {
                int[] history = request.HistoryKeys[field];
                for (int row = 0; row < rows; row++)
                {
                    int token = first + row;
                    int key = token >= count ? request.Impressions[token - count].SequenceKeys[field] : history[behaviors == null ? token : behaviors[token]];
                    _sequence[field].Write(key, embedded + row * width + field * e);
                }
            }
            _token.Apply(embedded, width, rows, x + (long)first * stride, stride);
        }
        if (_candidateToken is not null)
        {
            int inputs = _candidate.Length * e + NumberCount;
            float* features = scratch.TakeRows(candidates, inputs);
            WriteFeatures(request, _candidate, static impression => impression.CandidateKeys, features, inputs, scratch);
            _candidateToken.Apply(features, inputs, candidates, x + (long)count * stride, stride, adds: true);
        }
        scratch.Release(taken);
        return x;
    }

    /// <summary>Writes of each candidate the pooled embeddings of some fields, and then its numbers, standardized.</summary>
    private void WriteFeatures(Request request, Embedding[] fields, Func<Impression, int[][]> keysOf, float* features, int stride, Scratch scratch)
    {
        int e = Config.Options.EmbeddingDimension;
        float* one = scratch.Take<float>(e);
        foreach (Impression impression in request.Impressions)
        {
            int[][] keys = keysOf(impression);
            for (int field = 0; field < fields.Length; field++)
                fields[field].WriteMean(keys[field], features + field * e, one);
            float* numbers = features + fields.Length * e;
            for (int i = 0; i < _mean.Length; i++)
                numbers[i] = (impression.Numbers[i] - _mean[i]) * _inverseDeviation[i];
            features += stride;
        }
    }

    /// <summary>The MLP that scores states.</summary>
    private void Head(float* states, Span<float> logits, Scratch scratch)
    {
        float* hidden = scratch.TakeRows(logits.Length, _hidden.Stride), scores = scratch.TakeRows(logits.Length, _logit.Stride);
        _hidden.Apply(states, HeadInputs, logits.Length, hidden, _hidden.Stride);
        for (long i = 0; i < (long)logits.Length * _hidden.Stride; i += Lanes)
        {
            Vector<float> a = Vector.Load(hidden + i);
            (a * Sigmoid(a)).Store(hidden + i);
        }
        _logit.Apply(hidden, _hidden.Stride, logits.Length, scores, _logit.Stride);
        for (int i = 0; i < logits.Length; i++)
            logits[i] = scores[(long)i * _logit.Stride];
    }
}
