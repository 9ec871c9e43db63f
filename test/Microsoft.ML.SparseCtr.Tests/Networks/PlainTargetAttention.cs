namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>The network in which the candidate attends to the latest behaviors. Others that attend to further behaviors besides derive from it.</summary>
internal class PlainTargetAttention(CtrNetwork network) : PlainNetwork(network)
{
    /// <summary>The candidate, and what each of its attentions finds.</summary>
    protected override IEnumerable<double[]> States(Request request) => request.Impressions.Select(impression =>
    {
        double[] candidate = CandidateToken(impression);
        return candidate.Concat(Seen(request, impression).SelectMany(
            seen => Attended(seen.Attention, candidate, seen.Behaviors.Select(place => BehaviorToken(request, place)).ToArray()))).ToArray();
    });

    /// <summary>The behaviors that the candidate attends to, by the names of the attentions.</summary>
    protected virtual IEnumerable<(string Attention, IEnumerable<int> Behaviors)> Seen(Request request, Impression impression)
        => [("attention", Latest(impression, ((TargetAttentionTrainer.Options)Config.Options).LocalWindow))];

    protected static IEnumerable<int> Latest(Impression impression, int count) => Enumerable.Range(0, impression.PastLength).TakeLast(count);

    private double[] Attended(string name, double[] candidate, double[][] behaviors)
    {
        int size = Config.Options.ModelDimension / Config.Options.NumberOfHeads;
        double[] query = Linear($"{name}.query", candidate);
        // The zero token and the behaviors.
        double[][] keys = [new double[query.Length], .. behaviors.Select(token => Linear($"{name}.key", token))];
        double[][] values = [new double[query.Length], .. behaviors.Select(token => Linear($"{name}.value", token))];
        var found = new double[query.Length];
        for (int head = 0; head < Config.Options.NumberOfHeads; head++)
        {
            Range slots = (head * size)..((head + 1) * size);
            double[] weights = Softmax(keys.Select(key => Dot(query[slots], key[slots]) / Math.Sqrt(size)).ToArray());
            for (int slot = head * size; slot < (head + 1) * size; slot++)
                found[slot] = weights.Zip(values, (weight, value) => weight * value[slot]).Sum();
        }
        return Linear($"{name}.output", found);
    }
}
