namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>ETA: the candidate attends to the nearest behaviors by fingerprints, found by sorting all, and to the latest.</summary>
internal sealed class PlainEta(CtrNetwork network) : PlainTargetAttention(network)
{
    /// <summary>The product sums in float32: of products nearer to zero than this it may see the other sign.</summary>
    private const double LeastProduct = 1e-5;

    private readonly EtaTrainer.Options _options = (EtaTrainer.Options)network.Config.Options;

    private readonly Dictionary<(int Field, int Key), bool[]> _fingerprints = [];

    protected override IEnumerable<(string Attention, IEnumerable<int> Behaviors)> Seen(Request request, Impression impression) =>
    [
        ("retrieved", Enumerable.Range(0, impression.PastLength).OrderBy(place => Distance(request, impression, place)).ThenByDescending(place => place)
            .Take(_options.RetrievedBehaviors)),
        ("recent", Latest(impression, _options.LocalWindow)),
    ];

    /// <summary>Bits that differ, in all fields that candidates have too.</summary>
    private int Distance(Request request, Impression impression, int place)
    {
        int distance = 0;
        for (int field = 0; field < Config.SequenceFields.Length && Config.SequenceFields[field].ColumnName is not null; field++)
        {
            bool[] behavior = Fingerprint(field, request.HistoryKeys[field][place]), candidate = Fingerprint(field, impression.SequenceKeys[field]);
            for (int bit = 0; bit < behavior.Length; bit++)
                distance += behavior[bit] == candidate[bit] ? 0 : 1;
        }
        return distance;
    }

    private bool[] Fingerprint(int field, int key)
    {
        if (_fingerprints.TryGetValue((field, key), out bool[]? known))
            return known;
        double[] embedding = Embedded(Config.SequenceFields[field], $"sequence_tables.{field}", key);
        float[] projections = new SimHash(embedding.Length, _options.FingerprintBits / 64, 210_804_468 + (ulong)field).Projections.ToArray();
        return _fingerprints[(field, key)] = Enumerable.Range(0, _options.FingerprintBits).Select(bit =>
        {
            double product = embedding.Select((value, i) => value * projections[i * _options.FingerprintBits + bit]).Sum();
            Assert.True(Math.Abs(product) > LeastProduct, "the sign of a product is too near to call: take other weights");
            return product > 0;
        }).ToArray();
    }
}
