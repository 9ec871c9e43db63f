using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// The ETA network (Chen et al. 2021, arXiv:2108.04468; docs/model.md): a candidate attends to the k behaviors of its whole past whose fingerprints differ
/// least from its own, and, in a second attention, to the w latest. No gradient goes through the choice.
/// </summary>
internal sealed class EtaNetwork : CtrNetwork
{
    /// <summary>Comparisons of words below which a second thread costs more than it does.</summary>
    private const long ComparisonsPerThread = 200_000;

    /// <summary>Of the random directions of the fingerprints, which are a part of the model: never to be changed.</summary>
    private const ulong Seed = 2108_04468;

    private readonly EtaTrainer.Options _options;
    private readonly TargetAttention _retrieved, _recent;

    /// <summary>Those of each field that candidate and history share; a token's fingerprint is all of them, side by side.</summary>
    private readonly Fingerprints[] _fingerprints;

    public EtaNetwork(CtrConfig config, EtaTrainer.Options options) : base(config, nameof(EtaNetwork))
    {
        _options = options;
        _fingerprints = SequenceTables.Zip(HashesOf(config, options), (table, hash) => new Fingerprints(table, hash)).ToArray();
        register_module("retrieved", _retrieved = new TargetAttention(options.ModelDimension, options.NumberOfHeads));
        register_module("recent", _recent = new TargetAttention(options.ModelDimension, options.NumberOfHeads));
        AddHead(3 * options.ModelDimension);
    }

    /// <summary>The hash of each field that candidate and history share, the first fields.</summary>
    public static SimHash[] HashesOf(CtrConfig config, EtaTrainer.Options options) => config.SequenceFields.Where(field => field.ColumnName is not null)
        .Select((_, i) => new SimHash(options.EmbeddingDimension, options.FingerprintBits / SimHash.WordBits, Seed + (ulong)i)).ToArray();

    protected override Tensor States(PackedBatch batch)
    {
        SeenBehaviors retrieved = Retrieve(batch), recent = SeenBehaviors.Latest(batch.Plan.Pasts, _options.LocalWindow);
        (Tensor behaviors, (long[] Places, int Count)[] seen) = SeenBehaviors.Renumber(batch.Plan.BehaviorCount, batch.Labels.device, recent, retrieved);
        Tensor tokens = Tokens(batch, behaviors), candidates = tokens.narrow(0, behaviors.shape[0], batch.Plan.CandidateCount);
        Tensor shortTerm = _recent.forward(candidates, tokens.narrow(0, 0, seen[0].Count), seen[0].Places);
        Tensor longTerm = _retrieved.forward(candidates, tokens.narrow(0, 0, seen[1].Count), seen[1].Places);
        return cat([candidates, Dropout.forward(longTerm), Dropout.forward(shortTerm)], 1);
    }

    /// <summary>For each candidate, the behaviors of its past that are nearest to it.</summary>
    internal SeenBehaviors Retrieve(PackedBatch batch)
    {
        BatchPlan plan = batch.Plan;
        int fieldWords = _options.FingerprintBits / SimHash.WordBits, words = fieldWords * _fingerprints.Length;
        var fingerprints = new ulong[plan.TokenCount * words];
        for (int field = 0; field < _fingerprints.Length; field++)
            _fingerprints[field].Write(field == 0 ? batch.Items : batch.SequenceKeys[field], fingerprints.AsSpan(field * fieldWords), words);

        var retrieved = new SeenBehaviors(plan.CandidateCount, Math.Min(_options.RetrievedBehaviors, plan.Pasts.Max(past => past.Count)));
        long comparisons = words * plan.Pasts.Sum(past => (long)past.Count);
        int threads = ThreadCount.For(comparisons, ComparisonsPerThread);
        Parallel.For(0, plan.CandidateCount, new ParallelOptions { MaxDegreeOfParallelism = threads }, candidate =>
        {
            Interval past = plan.Pasts[candidate];
            Span<int> found = retrieved.Of(candidate);
            int count = HammingSearch.Nearest(
                fingerprints.AsSpan((plan.BehaviorCount + candidate) * words, words), fingerprints.AsSpan(past.From * words, past.Count * words),
                _options.RetrievedBehaviors, found);
            foreach (ref int place in found[..count])
                place += past.From;
        });
        return retrieved;
    }
}
