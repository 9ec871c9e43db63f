namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>The networks of blocks of self-attention: SparseCtr, and DenseAttention, which sees all of the past in one branch.</summary>
internal sealed class PlainSelfAttention(CtrNetwork network) : PlainNetwork(network)
{
    private readonly SelfAttentionOptions _options = (SelfAttentionOptions)network.Config.Options;

    /// <summary>Null for dense attention.</summary>
    private readonly SparseCtrTrainer.Options? _sparse = network.Config.Options as SparseCtrTrainer.Options;

    /// <summary>Whether there are the global, the transition and the local branch.</summary>
    private readonly bool[] _branches = network.Config.Options is SparseCtrTrainer.Options { Branches: AttentionBranches branches }
        ? [branches.HasFlag(AttentionBranches.Global), branches.HasFlag(AttentionBranches.Transition), branches.HasFlag(AttentionBranches.Local)]
        : [false, false, true];

    protected override IEnumerable<double[]> States(Request request)
    {
        int count = request.HistoryTimestamps.Length;
        List<double[]> tokens = Enumerable.Range(0, count).Select(i => BehaviorToken(request, i))
            .Concat(request.Impressions.Select(CandidateToken)).ToList();
        long[] times = [.. request.HistoryTimestamps, .. request.Impressions.Select(impression => impression.Timestamp)];
        // Nobody reads what the last block would make of behaviors.
        for (int block = 0; block < _options.NumberOfBlocks; block++)
            tokens = Block($"blocks.{block}", tokens, times, request, first: block == _options.NumberOfBlocks - 1 ? count : 0);
        return tokens.Select(token => Norm("norm", token));
    }

    /// <param name="first">The first token that is wanted of the block.</param>
    private List<double[]> Block(string name, List<double[]> x, long[] times, Request request, int first)
    {
        List<double[]> normalized = x.Select(token => Norm($"{name}.attention_norm", token)).ToList();
        List<double[]> attended = Attention($"{name}.attention", normalized, times, request, first);
        return x.Skip(first).Zip(attended, (token, more) =>
        {
            double[] y = Add(token, more);
            double[] z = Norm($"{name}.feed_forward_norm", y);
            double[] gated = Linear($"{name}.feed_forward.gate", z).Zip(Linear($"{name}.feed_forward.up", z), (gate, up) => Silu(gate) * up).ToArray();
            return Add(y, Linear($"{name}.feed_forward.down", gated));
        }).ToList();
    }

    /// <summary>A key of a branch: null stands for the zero token.</summary>
    private sealed record Key(double[] K, double[] V, long Time);

    private List<double[]> Attention(string name, List<double[]> x, long[] times, Request request, int first)
    {
        int behaviors = request.HistoryTimestamps.Length;
        List<Key> keys = x.Select((token, i) => new Key(Linear($"{name}.key", token), Linear($"{name}.value", token), times[i])).ToList();
        return Enumerable.Range(first, x.Count - first).Select(i =>
        {
            double[] token = x[i];
            bool isCandidate = i >= behaviors;
            int past = isCandidate ? request.Impressions[i - behaviors].PastLength : i + 1;
            List<List<int>> complete = Chunks(request.HistoryTimestamps, past);
            // A behavior does not see the chunk that it is in.
            if (!isCandidate)
                complete = complete.Where(chunk => !chunk.Contains(i)).ToList();
            List<Key?> global = [null, .. complete.Select(chunk => new Key(
                Average(chunk.Select(j => keys[j].K)), Average(chunk.Select(j => keys[j].V)), times[chunk[^1]]))];
            List<Key?> transition = [null, .. complete.SelectMany(chunk => chunk.TakeLast(_sparse?.TransitionBehaviors ?? 0)).Select(j => keys[j])];
            IEnumerable<int> seen = Enumerable.Range(0, past).TakeLast(_sparse?.LocalWindow ?? past);
            List<Key?> local = (isCandidate ? seen.Append(i) : seen).Select(j => (Key?)keys[j]).ToList();

            double[] query = Linear($"{name}.query", token);
            double[] gates = Linear($"{name}.gate", token).Select(Sigmoid).ToArray();
            var sum = new double[_options.ModelDimension];
            foreach ((List<Key?> branch, int index) in new[] { global, transition, local }.Select((branch, index) => (branch, index)))
            {
                for (int head = 0; head < _options.NumberOfHeads && _branches[index]; head++)
                    Attend(name, head, query, times[i], branch, gates[index * _options.NumberOfHeads + head], sum);
            }
            return Linear($"{name}.output", sum);
        }).ToList();
    }

    /// <summary>The chunks up to the last one that a query with such a past is in or sees.</summary>
    private List<List<int>> Chunks(long[] times, int past)
    {
        if (_sparse is null)
            return [];
        var chunkOf = new int[times.Length];
        if (_sparse.Chunking == ChunkingPolicy.Causal)
            TimeChunking.Causal(times.AsSpan(0, past), _sparse.NumberOfChunks, _sparse.HistoryLength, chunkOf.AsSpan(0, past));
        else if (_sparse.Chunking == ChunkingPolicy.EqualCounts)
            TimeChunking.EqualCounts(times, _sparse.NumberOfChunks, _sparse.HistoryLength, chunkOf);
        else
            TimeChunking.LargestGaps(times, _sparse.NumberOfChunks, chunkOf);
        return Enumerable.Range(0, past).GroupBy(i => chunkOf[i]).Select(chunk => chunk.ToList()).ToList();
    }

    private void Attend(string name, int head, double[] query, long time, List<Key?> keys, double gate, double[] sum)
    {
        int size = _options.ModelDimension / _options.NumberOfHeads;
        Range slots = (head * size)..((head + 1) * size);
        double[] logits = keys.Select(key => key is null ? 0 : Dot(query[slots], key.K[slots]) / Math.Sqrt(size) + Bias(name, head, time, key.Time)).ToArray();
        double[] weights = Softmax(logits);
        for (int j = 0; j < keys.Count; j++)
        {
            for (int slot = slots.Start.Value; slot < slots.End.Value; slot++)
                sum[slot] += gate * weights[j] * (keys[j]?.V[slot] ?? 0);
        }
    }

    private double Bias(string name, int head, long left, long right)
    {
        double[] coefficients = Row($"{name}.temporal.coefficients", head);
        DateTimeOffset a = Local(left), b = Local(right);
        double hours = a.TimeOfDay.TotalHours - b.TimeOfDay.TotalHours;
        return If(TemporalTerms.Elapsed) * coefficients[0] * Math.Log(1 + Math.Abs(left - right) / _options.TimeScaleSeconds)
            + If(TemporalTerms.Hour) * coefficients[1] * Math.Cos(2 * Math.PI * hours / 24)
            + If(TemporalTerms.Weekend) * coefficients[2] * (IsWeekend(a) == IsWeekend(b) ? 1 : 0);

        int If(TemporalTerms term) => (_options.TemporalTerms & term) != 0 ? 1 : 0;
        DateTimeOffset Local(long seconds) => DateTimeOffset.FromUnixTimeSeconds(seconds).AddHours(_options.UtcOffsetHours);
        static bool IsWeekend(DateTimeOffset time) => time.DayOfWeek is DayOfWeek.Saturday or DayOfWeek.Sunday;
    }
}
