using static Microsoft.ML.SparseCtr.SmallMatrix;

namespace Microsoft.ML.SparseCtr;

/// <summary>Scores as <see cref="EtaNetwork"/>. Fingerprints of the keys that have rows of their own are kept, from the first score on.</summary>
internal sealed unsafe class EtaScoringNetwork : ScoringNetwork
{
    private readonly EtaTrainer.Options _options;
    private readonly ScoringTargetAttention _retrieved, _recent;
    private readonly ScoringFingerprints[] _fingerprints;

    public EtaScoringNetwork(CtrConfig config, EtaTrainer.Options options, WeightReader weights) : base(config, weights, 3 * options.ModelDimension)
    {
        _options = options;
        _fingerprints = EtaNetwork.HashesOf(config, options)
            .Select((hash, field) => new ScoringFingerprints(SequenceEmbeddings[field], hash, options.EmbeddingDimension)).ToArray();
        _retrieved = new ScoringTargetAttention(weights.In("retrieved"), options);
        _recent = new ScoringTargetAttention(weights.In("recent"), options);
    }

    protected override void WriteStates(Request request, float* states, int stride, Scratch scratch)
    {
        int words = _fingerprints.Length * _options.FingerprintBits / SimHash.WordBits, d = _options.ModelDimension, candidates = request.Impressions.Count;
        var seen = new SeenTokens(request, scratch);
        SeenTable recent = seen.Latest(_options.LocalWindow), retrieved = seen.Nearest(FingerprintsOf(request, words, scratch), words, _options.RetrievedBehaviors);
        float* tokens = Tokens(request, seen.Behaviors, seen.Count, scratch), ofCandidates = tokens + (long)seen.Count * Stride;
        CopyRows(ofCandidates, Stride, candidates, d, states, stride);
        _retrieved.Write(ofCandidates, tokens, Stride, candidates, retrieved, states + d, stride, scratch);
        _recent.Write(ofCandidates, tokens, Stride, candidates, recent, states + 2 * d, stride, scratch);
    }

    /// <summary>[tokens, words], those of a token's fields side by side.</summary>
    private ulong* FingerprintsOf(Request request, int words, Scratch scratch)
    {
        int behaviors = request.HistoryTimestamps.Length;
        ulong* fingerprints = scratch.Take<ulong>((long)(behaviors + request.Impressions.Count) * words);
        float* embedding = scratch.Take<float>(_options.EmbeddingDimension);
        for (int field = 0; field < _fingerprints.Length; field++)
        {
            ScoringFingerprints ofField = _fingerprints[field];
            ulong* to = fingerprints + field * ofField.Words;
            foreach (int key in request.HistoryKeys[field])
            {
                ofField.Write(key, to, embedding);
                to += words;
            }
            foreach (Impression impression in request.Impressions)
            {
                ofField.Write(impression.SequenceKeys[field], to, embedding);
                to += words;
            }
        }
        return fingerprints;
    }
}

/// <summary>The fingerprints of a field's keys: those of all rows of its table, or, where keys share rows, made when they are asked for.</summary>
internal sealed unsafe class ScoringFingerprints
{
    private readonly Embedding _embedding;
    private readonly SimHash _hash;
    private readonly int _dimension;
    private readonly Lazy<NativeBuffer<ulong>>? _ofRows;

    public ScoringFingerprints(Embedding embedding, SimHash hash, int dimension)
    {
        (_embedding, _hash, _dimension) = (embedding, hash, dimension);
        if (embedding.DirectRows is long rows)
            _ofRows = new Lazy<NativeBuffer<ulong>>(() => OfAllRows(rows), LazyThreadSafetyMode.ExecutionAndPublication);
    }

    public int Words => _hash.Words;

    /// <summary>Writes the fingerprint of a key.</summary>
    /// <param name="key">The key.</param>
    /// <param name="words">Receives it.</param>
    /// <param name="embedding">Room for an embedding.</param>
    public void Write(int key, ulong* words, float* embedding)
    {
        Span<ulong> to = new(words, Words);
        if (_ofRows is null)
            Compute(key, to, embedding);
        else if ((ulong)key >= (ulong)_embedding.DirectRows!)
            throw new ArgumentOutOfRangeException(nameof(key), key, "is no key of the field");
        else
            new ReadOnlySpan<ulong>(_ofRows.Value.Pointer + (long)key * Words, Words).CopyTo(to);
    }

    private void Compute(int key, Span<ulong> words, float* embedding)
    {
        _embedding.Write(key, embedding);
        _hash.Fingerprint(new ReadOnlySpan<float>(embedding, _dimension), words);
    }

    private NativeBuffer<ulong> OfAllRows(long rows)
    {
        var all = new NativeBuffer<ulong>(rows * Words);
        float* embedding = stackalloc float[_dimension];
        for (int row = 0; row < rows; row++)
            Compute(row, new Span<ulong>(all.Pointer + (long)row * Words, Words), embedding);
        return all;
    }
}
