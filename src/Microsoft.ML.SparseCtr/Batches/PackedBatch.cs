using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>Keys of a field that may have several per candidate: one flat list, and which candidate each belongs to.</summary>
/// <param name="Keys">[keys] the keys.</param>
/// <param name="Bags">Where they belong; null where every candidate has one key.</param>
internal sealed record KeyBags(Tensor Keys, Bags? Bags)
{
    public IEnumerable<Tensor> Tensors => Bags is null ? [Keys] : [Keys, Bags.Candidate, Bags.InverseLength];
}

/// <summary>Keys by the candidates that they belong to.</summary>
/// <param name="Candidate">[keys] the candidate of each.</param>
/// <param name="InverseLength">[candidates, 1] one over the number of the candidate's keys.</param>
internal sealed record Bags(Tensor Candidate, Tensor InverseLength);

/// <summary>
/// Requests as the network takes them: all tokens of the batch in one row of tensors, the behaviors of all requests first and then their
/// candidates, with no padding. It belongs to no dispose scope, as one thread packs it and another one uses it: dispose it.
/// </summary>
internal sealed class PackedBatch : IDisposable
{
    /// <summary>Per sequence field, [tokens] keys, or its <see cref="KeyField.CandidateKey"/>.</summary>
    public required Tensor[] SequenceKeys { get; init; }

    /// <summary>[tokens] the items, those that are hidden in <see cref="SequenceKeys"/> too: what retrieval goes by.</summary>
    public required Tensor Items { get; init; }

    public required KeyBags[] CandidateKeys { get; init; }
    public required KeyBags[] UserKeys { get; init; }

    /// <summary>[candidates, numbers], standardized.</summary>
    public required Tensor Numbers { get; init; }

    /// <summary>[candidates] 1 for a click, 0 for none.</summary>
    public required Tensor Labels { get; init; }

    public required BatchPlan Plan { get; init; }

    public IEnumerable<Tensor> Tensors => [.. SequenceKeys, Items, .. CandidateKeys.Concat(UserKeys).SelectMany(bags => bags.Tensors), Numbers, Labels];

    public void Dispose()
    {
        foreach (Tensor tensor in Tensors)
            tensor.Dispose();
        Plan.Dispose();
    }

    /// <summary>Packs requests.</summary>
    /// <param name="requests">At least one.</param>
    /// <param name="network">The network that they are for.</param>
    /// <param name="device">Where the tensors go.</param>
    /// <param name="dtype">Type of the floating-point tensors.</param>
    /// <param name="isDropped">Asked once per token while training: whether the item's id is hidden (made missing).</param>
    public static PackedBatch Create(
        IReadOnlyList<Request> requests, CtrNetwork network, Device device, ScalarType dtype = ScalarType.Float32, Func<bool>? isDropped = null)
    {
        using DisposeScope scope = NewDisposeScope();
        CtrConfig config = network.Config;
        Impression[] impressions = requests.SelectMany(request => request.Impressions).ToArray();
        long[][] sequenceKeys = SequenceKeysOf(requests, impressions, config);
        Tensor items = Sent(tensor(sequenceKeys[0]));
        Hide(sequenceKeys[0], isDropped);
        var packed = new PackedBatch
        {
            SequenceKeys = sequenceKeys.Select(keys => Sent(tensor(keys))).ToArray(),
            Items = items,
            CandidateKeys = config.CandidateFields.Select((_, i) => KeyBagsOf(impression => impression.CandidateKeys[i])).ToArray(),
            UserKeys = config.UserFields.Select((_, i) => KeyBagsOf(impression => impression.UserKeys[i])).ToArray(),
            Numbers = Sent(tensor(Standardized(impressions, config), dtype)).reshape(impressions.Length, config.NumericDimension),
            Labels = Sent(tensor(impressions.Select(impression => impression.Label).ToArray(), dtype)),
            Plan = network.Plan(requests),
        };
        packed.Plan.SendTo(device);
        foreach (Tensor tensor in packed.Tensors)
            tensor.DetachFromDisposeScope();
        return packed;

        Tensor Sent(Tensor tensor) => TensorMemory.Send(tensor, device);

        KeyBags KeyBagsOf(Func<Impression, int[]> keysOf)
        {
            long[] keys = impressions.SelectMany(keysOf).Select(key => (long)key).ToArray();
            if (keys.Length == impressions.Length)
                return new KeyBags(Sent(tensor(keys)), null);
            long[] candidates = impressions.SelectMany((impression, candidate) => Enumerable.Repeat((long)candidate, keysOf(impression).Length)).ToArray();
            double[] inverseLength = impressions.Select(impression => 1.0 / keysOf(impression).Length).ToArray();
            return new KeyBags(
                Sent(tensor(keys)), new Bags(Sent(tensor(candidates)), Sent(tensor(inverseLength, dtype)).reshape(impressions.Length, 1)));
        }
    }

    private static long[][] SequenceKeysOf(IReadOnlyList<Request> requests, Impression[] impressions, CtrConfig config)
    {
        int behaviors = requests.Sum(request => request.HistoryTimestamps.Length);
        var keys = new long[config.SequenceFields.Length][];
        for (int field = 0; field < keys.Length; field++)
        {
            keys[field] = new long[behaviors + impressions.Length];
            int token = 0;
            foreach (Request request in requests)
            {
                foreach (int key in request.HistoryKeys[field])
                    keys[field][token++] = key;
            }
            foreach (Impression impression in impressions)
                keys[field][token++] = impression.SequenceKeys[field];
        }
        return keys;
    }

    private static void Hide(long[] items, Func<bool>? isDropped)
    {
        for (int token = 0; token < items.Length && isDropped is not null; token++)
        {
            if (isDropped())
                items[token] = 0;
        }
    }

    private static float[] Standardized(Impression[] impressions, CtrConfig config)
    {
        float[] mean = config.NumericFields.SelectMany(field => field.Mean).ToArray();
        float[] deviation = config.NumericFields.SelectMany(field => field.StandardDeviation).ToArray();
        var numbers = new float[impressions.Length * mean.Length];
        for (int i = 0; i < numbers.Length; i++)
            numbers[i] = (impressions[i / mean.Length].Numbers[i % mean.Length] - mean[i % mean.Length]) / deviation[i % mean.Length];
        return numbers;
    }
}
