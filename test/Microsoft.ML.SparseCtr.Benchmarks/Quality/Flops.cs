namespace Microsoft.ML.SparseCtr.Benchmarks;

/// <summary>
/// What it costs to score one request of one candidate from scratch: floating-point operations, two for each multiplication and addition of
/// the matrix products. Looking up embeddings, norms, softmaxes and RelTemporal are left out: they are few beside them.
/// </summary>
internal static class Flops
{
    /// <param name="config">The network.</param>
    /// <param name="n">Events of the history.</param>
    public static double PerCandidate(CtrConfig config, int n) => 2 * (config.Options switch
    {
        SelfAttentionOptions options => SelfAttention(config, options, n),
        EtaTrainer.Options options => Eta(config, options, n),
        TargetAttentionTrainer.Options options => TargetAttention(config, options, n),
        _ => throw new ArgumentException($"{config.Options.GetType()} are options of no trainer that is known here."),
    });

    /// <summary>Words of 64 bits that ETA compares to choose behaviors: for each event, the fingerprints of the fields that candidates have too.</summary>
    public static long ComparisonsPerCandidate(CtrConfig config, int n) => config.Options is EtaTrainer.Options options
        ? n * (options.FingerprintBits / 64L) * config.SequenceFields.Count(field => field.ColumnName is not null)
        : 0;

    private static double SelfAttention(CtrConfig config, SelfAttentionOptions options, int n)
    {
        double sum = Tokens(config, n);
        for (int block = 1; block <= options.NumberOfBlocks; block++)
            sum += Block(options, n, candidateOnly: block == options.NumberOfBlocks);
        return sum + Head(config, stateDimension: options.ModelDimension);
    }

    private static double Block(SelfAttentionOptions options, int n, bool candidateOnly)
    {
        double d = options.ModelDimension, tokens = n + 1, queries = candidateOnly ? 1 : tokens;
        double keysAndValues = tokens * 2 * d * d;
        double queriesAndOutputs = queries * 2 * d * d, gates = queries * 3 * options.NumberOfHeads * d;
        double seen = KeysOfCandidate(options.Shape, n) + (candidateOnly ? 0 : KeysOfBehaviors(options.Shape, n));
        double attention = seen * 2 * d; // Logits, and the sum of values.
        double swiGlu = queries * 3 * d * options.FeedForwardDimension;
        return keysAndValues + queriesAndOutputs + gates + attention + swiGlu;
    }

    /// <summary>A candidate sees all chunks, the last r of each, the last w of all and itself.</summary>
    private static double KeysOfCandidate(AttentionShape shape, int n)
        => KeysOfChunks(shape, n) + (shape.Branches.HasFlag(AttentionBranches.Local) ? Math.Min(shape.Window, n) + 1 : 0);

    /// <summary>
    /// The keys that all behaviors see together. In chunks of one length, those of the first chunk see none before it, those of the last one all
    /// but one: the mean is (P' − 1) / 2. Of the latest, the i-th behavior sees i, but no more than w.
    /// </summary>
    private static double KeysOfBehaviors(AttentionShape shape, int n)
    {
        double chunks = Math.Min(shape.Chunks, n), shareOfChunks = chunks == 0 ? 0 : (chunks - 1) / 2 / chunks;
        double w = Math.Min(shape.Window, n), latest = w * (w + 1) / 2 + (n - w) * w;
        return n * shareOfChunks * KeysOfChunks(shape, n) + (shape.Branches.HasFlag(AttentionBranches.Local) ? latest : 0);
    }

    /// <summary>P' + P'·r: as many chunks P' as there may be, or as there are events, and of a short chunk what it has.</summary>
    private static double KeysOfChunks(AttentionShape shape, int n)
    {
        double chunks = Math.Min(shape.Chunks, n);
        return (shape.Branches.HasFlag(AttentionBranches.Global) ? chunks : 0)
            + (shape.Branches.HasFlag(AttentionBranches.Transition) ? Math.Min(chunks * shape.Transitions, n) : 0);
    }

    /// <summary>Tokens are made of the behaviors alone that are seen: the k retrieved ones and the w latest ones, at most.</summary>
    private static double Eta(CtrConfig config, EtaTrainer.Options options, int n)
    {
        int d = options.ModelDimension, retrieved = Math.Min(options.RetrievedBehaviors, n), recent = Math.Min(options.LocalWindow, n);
        return Tokens(config, Math.Min(retrieved + recent, n)) + AttentionOfCandidate(d, retrieved) + AttentionOfCandidate(d, recent)
            + Head(config, stateDimension: 3 * d);
    }

    private static double TargetAttention(CtrConfig config, TargetAttentionTrainer.Options options, int n)
    {
        int d = options.ModelDimension, recent = Math.Min(options.LocalWindow, n);
        return Tokens(config, recent) + AttentionOfCandidate(d, recent) + Head(config, stateDimension: 2 * d);
    }

    /// <summary>Keys and values of the seen behaviors, query and output of the candidate, and the attention.</summary>
    private static double AttentionOfCandidate(double d, int seen) => seen * 2 * d * d + 2 * d * d + seen * 2 * d;

    /// <summary>The map that makes tokens of embeddings, for behaviors and candidate, and the one of what the candidate has besides.</summary>
    private static double Tokens(CtrConfig config, int behaviors)
    {
        double d = config.Options.ModelDimension, e = config.Options.EmbeddingDimension;
        return (behaviors + 1) * config.SequenceFields.Length * e * d + (config.CandidateFields.Length * e + config.NumericDimension) * d;
    }

    /// <summary>The MLP of one hidden layer.</summary>
    private static double Head(CtrConfig config, double stateDimension)
    {
        double inputs = stateDimension + config.UserFields.Length * config.Options.EmbeddingDimension + config.NumericDimension;
        return (inputs + 1) * config.Options.HeadDimension;
    }
}
