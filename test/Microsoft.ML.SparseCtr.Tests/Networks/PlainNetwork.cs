using TorchSharp;

namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>
/// The network's mathematics (docs/model.md) once more, in loops over doubles: one request, one token, one key at a time. It shares no code
/// with the product but the requests, the weights and TimeChunking, which has tests of its own.
/// </summary>
internal sealed class PlainNetwork(CtrConfig config, CtrNetwork network)
{
    private readonly SparseCtrTrainer.Options _sizes = (SparseCtrTrainer.Options)config.Options;

    private readonly Dictionary<string, (long[] Shape, double[] Values)> _weights = network.state_dict().ToDictionary(
        entry => entry.Key, entry => (entry.Value.shape, entry.Value.to(torch.float64).data<double>().ToArray()));

    /// <summary>The logit of each of the request's candidates.</summary>
    public double[] Score(Request request)
    {
        int count = request.HistoryTimestamps.Length;
        List<double[]> tokens = Enumerable.Range(0, count).Select(i => BehaviorToken(request, i))
            .Concat(request.Impressions.Select(CandidateToken)).ToList();
        long[] times = [.. request.HistoryTimestamps, .. request.Impressions.Select(impression => impression.Timestamp)];
        for (int block = 0; block < _sizes.NumberOfBlocks; block++)
            tokens = Block($"blocks.{block}", tokens, times, request);
        return request.Impressions.Select((impression, i) => Head(tokens[count + i], impression)).ToArray();
    }

    private double[] BehaviorToken(Request request, int position) => Linear("token",
        config.SequenceFields.SelectMany((field, i) => Embedded(field, $"sequence_tables.{i}", request.HistoryKeys[i][position])).ToArray());

    private double[] CandidateToken(Impression impression)
    {
        double[] token = Linear("token",
            config.SequenceFields.SelectMany((field, i) => Embedded(field, $"sequence_tables.{i}", impression.SequenceKeys[i])).ToArray());
        if (!_weights.ContainsKey("candidate_token.weight"))
            return token;
        double[] inputs = config.CandidateFields.SelectMany((field, i) => Mean(field, $"candidate_tables.{i}", impression.CandidateKeys[i]))
            .Concat(Numbers(impression)).ToArray();
        return Add(token, Linear("candidate_token", inputs));
    }

    private double Head(double[] state, Impression impression)
    {
        IEnumerable<double> user = config.UserFields.SelectMany((field, i) => Mean(field, $"user_tables.{i}", impression.UserKeys[i]));
        double[] hidden = Linear("hidden", [.. Norm("norm", state), .. user, .. Numbers(impression)]);
        return Linear("logit", hidden.Select(Silu).ToArray())[0];
    }

    private List<double[]> Block(string name, List<double[]> x, long[] times, Request request)
    {
        List<double[]> normalized = x.Select(token => Norm($"{name}.attention_norm", token)).ToList();
        List<double[]> attended = Attention($"{name}.attention", normalized, times, request);
        return x.Zip(attended, (token, more) =>
        {
            double[] y = Add(token, more);
            double[] z = Norm($"{name}.feed_forward_norm", y);
            double[] gated = Linear($"{name}.feed_forward.gate", z).Zip(Linear($"{name}.feed_forward.up", z), (gate, up) => Silu(gate) * up).ToArray();
            return Add(y, Linear($"{name}.feed_forward.down", gated));
        }).ToList();
    }

    /// <summary>A key of a branch: null stands for the zero token.</summary>
    private sealed record Key(double[] K, double[] V, long Time);

    private List<double[]> Attention(string name, List<double[]> x, long[] times, Request request)
    {
        int behaviors = request.HistoryTimestamps.Length;
        List<Key> keys = x.Select((token, i) => new Key(Linear($"{name}.key", token), Linear($"{name}.value", token), times[i])).ToList();
        return x.Select((token, i) =>
        {
            bool isCandidate = i >= behaviors;
            int past = isCandidate ? request.Impressions[i - behaviors].PastLength : i + 1;
            List<List<int>> complete = Chunks(request.HistoryTimestamps, past);
            // A behavior does not see the chunk that it is in.
            if (!isCandidate)
                complete = complete.Where(chunk => !chunk.Contains(i)).ToList();
            List<Key?> global = [null, .. complete.Select(chunk => new Key(
                Average(chunk.Select(j => keys[j].K)), Average(chunk.Select(j => keys[j].V)), times[chunk[^1]]))];
            List<Key?> transition = [null, .. complete.SelectMany(chunk => chunk.TakeLast(_sizes.TransitionBehaviors)).Select(j => keys[j])];
            IEnumerable<int> seen = Enumerable.Range(0, past).TakeLast(_sizes.LocalWindow);
            List<Key?> local = (isCandidate ? seen.Append(i) : seen).Select(j => (Key?)keys[j]).ToList();

            double[] query = Linear($"{name}.query", token);
            double[] gates = Linear($"{name}.gate", token).Select(Sigmoid).ToArray();
            var sum = new double[_sizes.ModelDimension];
            foreach ((List<Key?> branch, int index) in new[] { global, transition, local }.Select((branch, index) => (branch, index)))
            {
                for (int head = 0; head < _sizes.NumberOfHeads; head++)
                    Attend(name, head, query, times[i], branch, gates[index * _sizes.NumberOfHeads + head], sum);
            }
            return Linear($"{name}.output", sum);
        }).ToList();
    }

    /// <summary>The chunks up to the last one that a query with such a past is in or sees.</summary>
    private List<List<int>> Chunks(long[] times, int past)
    {
        var chunkOf = new int[times.Length];
        if (_sizes.Chunking == ChunkingPolicy.Causal)
            TimeChunking.Causal(times.AsSpan(0, past), _sizes.NumberOfChunks, _sizes.HistoryLength, chunkOf.AsSpan(0, past));
        else
            TimeChunking.LargestGaps(times, _sizes.NumberOfChunks, chunkOf);
        return Enumerable.Range(0, past).GroupBy(i => chunkOf[i]).Select(chunk => chunk.ToList()).ToList();
    }

    private void Attend(string name, int head, double[] query, long time, List<Key?> keys, double gate, double[] sum)
    {
        int size = _sizes.ModelDimension / _sizes.NumberOfHeads;
        Range slots = (head * size)..((head + 1) * size);
        double[] logits = keys.Select(key => key is null ? 0 : Dot(query[slots], key.K[slots]) / Math.Sqrt(size) + Bias(name, head, time, key.Time)).ToArray();
        double top = logits.Max();
        double total = logits.Sum(logit => Math.Exp(logit - top));
        for (int j = 0; j < keys.Count; j++)
        {
            for (int slot = slots.Start.Value; slot < slots.End.Value; slot++)
                sum[slot] += gate * Math.Exp(logits[j] - top) / total * (keys[j]?.V[slot] ?? 0);
        }
    }

    private double Bias(string name, int head, long left, long right)
    {
        double[] coefficients = Row($"{name}.temporal.coefficients", head);
        DateTimeOffset a = Local(left), b = Local(right);
        double hours = a.TimeOfDay.TotalHours - b.TimeOfDay.TotalHours;
        return coefficients[0] * Math.Log(1 + Math.Abs(left - right) / _sizes.TimeScaleSeconds)
            + coefficients[1] * Math.Cos(2 * Math.PI * hours / 24)
            + coefficients[2] * (IsWeekend(a) == IsWeekend(b) ? 1 : 0);

        DateTimeOffset Local(long seconds) => DateTimeOffset.FromUnixTimeSeconds(seconds).AddHours(_sizes.UtcOffsetHours);
        static bool IsWeekend(DateTimeOffset time) => time.DayOfWeek is DayOfWeek.Saturday or DayOfWeek.Sunday;
    }

    private double[] Numbers(Impression impression)
    {
        float[] mean = config.NumericFields.SelectMany(field => field.Mean).ToArray();
        float[] deviation = config.NumericFields.SelectMany(field => field.StandardDeviation).ToArray();
        return impression.Numbers.Select((number, i) => (double)((number - mean[i]) / deviation[i])).ToArray();
    }

    private double[] Norm(string name, double[] x)
    {
        double scale = 1 / Math.Sqrt(x.Select(value => value * value).Average() + 1e-6);
        return x.Select((value, i) => value * scale * _weights[name + ".weight"].Values[i]).ToArray();
    }

    private double[] Linear(string name, double[] x)
    {
        double[]? bias = _weights.TryGetValue(name + ".bias", out (long[] Shape, double[] Values) found) ? found.Values : null;
        return Enumerable.Range(0, (int)_weights[name + ".weight"].Shape[0]).Select(i => Dot(Row(name, i), x) + (bias?[i] ?? 0)).ToArray();
    }

    private double[] Row(string name, int row)
    {
        (long[] shape, double[] values) = _weights.TryGetValue(name + ".weight", out (long[], double[]) weight) ? weight : _weights[name];
        return values[(int)(row * shape[1])..(int)((row + 1) * shape[1])];
    }

    private double[] Embedded(KeyField field, string name, int key)
    {
        if (field.MaximumTableRows is not int rows || field.KeyCount <= rows)
            return Row($"{name}.table", key);
        double[] factors = Row($"{name}.factors", HashedRow(950_706_376, 271_828_182));
        return Row($"{name}.table", HashedRow(742_938_285, 314_159_265)).Zip(factors, (value, factor) => value * factor).ToArray();

        int HashedRow(long a, long b) => key == 0 ? 0 : key > field.KeyCount ? rows + 1 : (int)((a * key + b) % int.MaxValue % rows) + 1;
    }

    private double[] Mean(KeyField field, string name, int[] keys) => Average(keys.Select(key => Embedded(field, name, key)));

    private static double[] Average(IEnumerable<double[]> vectors)
    {
        double[][] all = vectors.ToArray();
        return all[0].Select((_, i) => all.Average(vector => vector[i])).ToArray();
    }

    private static double[] Add(double[] left, double[] right) => left.Zip(right, (a, b) => a + b).ToArray();

    private static double Dot(double[] left, double[] right) => left.Zip(right, (a, b) => a * b).Sum();

    private static double Sigmoid(double x) => 1 / (1 + Math.Exp(-x));

    private static double Silu(double x) => x * Sigmoid(x);
}
