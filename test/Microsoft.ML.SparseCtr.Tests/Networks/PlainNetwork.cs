using TorchSharp;

namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>
/// The networks' mathematics (docs/model.md) once more, in loops over doubles: one request, one token, one key at a time. It shares no code
/// with the product but the requests, the weights, and TimeChunking and SimHash's projections, which have tests of their own.
/// </summary>
internal abstract class PlainNetwork(CtrNetwork network)
{
    private readonly Dictionary<string, (long[] Shape, double[] Values)> _weights = network.state_dict().ToDictionary(
        entry => entry.Key, entry => (entry.Value.shape, entry.Value.to(torch.float64).data<double>().ToArray()));

    protected CtrConfig Config { get; } = network.Config;

    /// <summary>The plain implementation of a network, with its weights.</summary>
    public static PlainNetwork Of(CtrNetwork network) => network.Config.Options switch
    {
        SelfAttentionOptions => new PlainSelfAttention(network),
        TargetAttentionTrainer.Options => new PlainTargetAttention(network),
        EtaTrainer.Options => new PlainEta(network),
        CtrTrainerOptions other => throw new ArgumentException($"{other} has no plain implementation."),
    };

    /// <summary>The logit of each of the request's candidates.</summary>
    public double[] Score(Request request) => States(request).Zip(request.Impressions, Head).ToArray();

    /// <summary>What the network makes of each of the request's candidates.</summary>
    protected abstract IEnumerable<double[]> States(Request request);

    protected double[] BehaviorToken(Request request, int position) => Linear("token",
        Config.SequenceFields.SelectMany((field, i) => Embedded(field, $"sequence_tables.{i}", request.HistoryKeys[i][position])).ToArray());

    protected double[] CandidateToken(Impression impression)
    {
        double[] token = Linear("token",
            Config.SequenceFields.SelectMany((field, i) => Embedded(field, $"sequence_tables.{i}", impression.SequenceKeys[i])).ToArray());
        if (!_weights.ContainsKey("candidate_token.weight"))
            return token;
        double[] inputs = Config.CandidateFields.SelectMany((field, i) => Mean(field, $"candidate_tables.{i}", impression.CandidateKeys[i]))
            .Concat(Numbers(impression)).ToArray();
        return Add(token, Linear("candidate_token", inputs));
    }

    private double Head(double[] state, Impression impression)
    {
        IEnumerable<double> user = Config.UserFields.SelectMany((field, i) => Mean(field, $"user_tables.{i}", impression.UserKeys[i]));
        double[] hidden = Linear("hidden", [.. state, .. user, .. Numbers(impression)]);
        return Linear("logit", hidden.Select(Silu).ToArray())[0];
    }

    private double[] Numbers(Impression impression)
    {
        float[] mean = Config.NumericFields.SelectMany(field => field.Mean).ToArray();
        float[] deviation = Config.NumericFields.SelectMany(field => field.StandardDeviation).ToArray();
        return impression.Numbers.Select((number, i) => (double)((number - mean[i]) / deviation[i])).ToArray();
    }

    protected double[] Norm(string name, double[] x)
    {
        double scale = 1 / Math.Sqrt(x.Select(value => value * value).Average() + 1e-6);
        return x.Select((value, i) => value * scale * _weights[name + ".weight"].Values[i]).ToArray();
    }

    protected double[] Linear(string name, double[] x)
    {
        double[]? bias = _weights.TryGetValue(name + ".bias", out (long[] Shape, double[] Values) found) ? found.Values : null;
        return Enumerable.Range(0, (int)_weights[name + ".weight"].Shape[0]).Select(i => Dot(Row(name, i), x) + (bias?[i] ?? 0)).ToArray();
    }

    protected double[] Row(string name, int row)
    {
        (long[] shape, double[] values) = _weights.TryGetValue(name + ".weight", out (long[], double[]) weight) ? weight : _weights[name];
        return values[(int)(row * shape[1])..(int)((row + 1) * shape[1])];
    }

    protected double[] Embedded(KeyField field, string name, int key)
    {
        if (field.MaximumTableRows is not int rows || field.KeyCount <= rows)
            return Row($"{name}.table", key);
        double[] factors = Row($"{name}.factors", HashedRow(950_706_376, 271_828_182));
        return Row($"{name}.table", HashedRow(742_938_285, 314_159_265)).Zip(factors, (value, factor) => value * factor).ToArray();

        int HashedRow(long a, long b) => key == 0 ? 0 : key > field.KeyCount ? rows + 1 : (int)((a * key + b) % int.MaxValue % rows) + 1;
    }

    private double[] Mean(KeyField field, string name, int[] keys) => Average(keys.Select(key => Embedded(field, name, key)));

    /// <summary>The weights of keys: positive, and 1 in all.</summary>
    protected static double[] Softmax(double[] logits)
    {
        double top = logits.Max(), total = logits.Sum(logit => Math.Exp(logit - top));
        return logits.Select(logit => Math.Exp(logit - top) / total).ToArray();
    }

    protected static double[] Average(IEnumerable<double[]> vectors)
    {
        double[][] all = vectors.ToArray();
        return all[0].Select((_, i) => all.Average(vector => vector[i])).ToArray();
    }

    protected static double[] Add(double[] left, double[] right) => left.Zip(right, (a, b) => a + b).ToArray();

    protected static double Dot(double[] left, double[] right) => left.Zip(right, (a, b) => a * b).Sum();

    protected static double Sigmoid(double x) => 1 / (1 + Math.Exp(-x));

    protected static double Silu(double x) => x * Sigmoid(x);
}
