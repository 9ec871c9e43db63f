using System.Diagnostics;
using System.Text.Json.Nodes;
using Microsoft.ML.Data;
using SparseCtr.Samples;
using TorchSharp;
using static System.FormattableString;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr.Benchmarks;

/// <summary>
/// What a user's candidates cost, from times and keys to scores, on one thread: <see cref="CtrScorer"/> against the same network in PyTorch, in turns; and a row of one
/// candidate by a PredictionEngine against the scorer.
/// </summary>
internal static class ServingBenchmark
{
    private const int Events = 1_024, Candidates = 100, Rounds = 5;
    private const double SecondsPerRound = 0.8, Tolerance = 1e-4;

    /// <param name="dataFolder">A folder with MovieLens 100K, to count on it how often events move older boundaries; or null.</param>
    public static void Run(string? dataFolder)
    {
        if (dataFolder is not null)
            CountMovedBoundaries(MovieLens.Load(dataFolder));
        Request request = BenchmarkRequests.Random(Events, seed: 1);
        var history = new CtrHistory(request.HistoryTimestamps, request.HistoryKeys);
        CtrCandidate[] candidates = Enumerable.Range(1, Candidates).Select(item => new CtrCandidate
        {
            ItemKeys = [item],
            UserKeys = request.Impressions[0].UserKeys,
            Timestamp = request.Impressions[0].Timestamp,
        }).ToArray();
        Weights weights = RandomWeights();
        using var model = new CtrTransformer(new MLContext(), ScoringNetwork.Create(BenchmarkRequests.Config, weights));
        CtrScorer scorer = CtrScorer.Of(model);
        var scores = new float[Candidates];

        SparseCtrTrainer.Options sizes = BenchmarkRequests.Sizes;
        Console.WriteLine(Invariant($"serving: one user of {Events:N0} events, {Candidates} candidates, d = {sizes.ModelDimension}, L = {sizes.NumberOfBlocks}, ")
            + Invariant($"P = {sizes.NumberOfChunks}, r = {sizes.TransitionBehaviors}, w = {sizes.LocalWindow}; one thread; {Rounds} rounds in turns"));
        using MeasuredProcess peer = MeasuredProcess.PyTorch();
        Load(peer, request, candidates);
        JsonNode answer = peer.Ask(new { @do = "score", weights = weights.All.ToDictionary(weight => weight.Name, weight => new { shape = weight.Shape, values = Values(weight) }) });
        scorer.Score(history, candidates, scores);
        double difference = answer["logits"]!.AsArray().Zip(scores, (left, right) => Math.Abs((double)left! - right)).Max() / Math.Max(1, scores.Max(Math.Abs));
        if (!(difference <= Tolerance))
            throw new InvalidDataException(Invariant($"PyTorch computes something else: logits differ by {difference:E1} of the largest. Nothing was measured."));
        Console.WriteLine(Invariant($"  the same weights and inputs give the same logits: they differ by {difference:E1} of the largest"));

        List<double> ours = [], peers = [], withState = [];
        UserState state = scorer.Encode(history);
        Latencies(() => scorer.Score(history, candidates, scores), SecondsPerRound);
        Latencies(() => scorer.Score(state, candidates, scores), SecondsPerRound);
        peer.Ask(new { @do = "latencies", seconds = SecondsPerRound });
        for (int round = 0; round < Rounds; round++)
        {
            ours.AddRange(Latencies(() => scorer.Score(history, candidates, scores), SecondsPerRound));
            withState.AddRange(Latencies(() => scorer.Score(state, candidates, scores), SecondsPerRound / 2));
            peers.AddRange(peer.Ask(new { @do = "latencies", seconds = SecondsPerRound })["milliseconds"]!.AsArray().Select(value => (double)value!));
        }
        Console.WriteLine("                                        fastest       p50       p99  milliseconds");
        Print("CtrScorer", ours);
        Print("PyTorch, eager, inference mode", peers);
        Print("CtrScorer with the user's state", withState);
        Console.WriteLine(Invariant($"  {Quantile(peers, 0.5) / Quantile(ours, 0.5):F1} times as fast at the median, {peers.Min() / ours.Min():F1} times at best; ")
            + Invariant($"with the state {Quantile(peers, 0.5) / Quantile(withState, 0.5):F0} times at the median, {peers.Min() / withState.Min():F0} at best"));
        MeasureStates(weights, request, history, ChunkingPolicy.Causal);
        MeasureStates(weights, request, history, ChunkingPolicy.LargestGaps);

        MeasureEngine(model, scorer, request, history, candidates[0]);
    }

    private static void MeasureEngine(CtrTransformer model, CtrScorer scorer, Request request, CtrHistory history, CtrCandidate candidate)
    {
        using PredictionEngine<Row, Prediction> engine = new MLContext().Model.CreatePredictionEngine<Row, Prediction>(model, new PredictionEngineOptions { OwnsTransformer = false });
        var row = new Row
        {
            Timestamp = candidate.Timestamp,
            Item = (uint)candidate.ItemKeys[0],
            User = (uint)candidate.UserKeys[0][0],
            HistoryTimestamp = request.HistoryTimestamps,
            HistoryItem = Array.ConvertAll(request.HistoryKeys[0], key => (uint)key),
            HistoryRating = Array.ConvertAll(request.HistoryKeys[1], key => (uint)key),
        };
        var prediction = new Prediction();
        List<double> byEngine = [], byScorer = [];
        for (int round = 0; round < 2 * Rounds; round++)
        {
            List<double> score = Latencies(() => scorer.Score(history, [candidate], new float[1]), SecondsPerRound / 2);
            List<double> predict = Latencies(() => engine.Predict(row, ref prediction), SecondsPerRound / 2);
            // The first ones are compiled on the way.
            if (round > 0)
                (byEngine, byScorer) = ([.. byEngine, .. predict], [.. byScorer, .. score]);
        }
        Console.WriteLine("  one candidate");
        Print("CtrScorer", byScorer);
        Print("PredictionEngine", byEngine);
        Console.WriteLine(Invariant($"  {Quantile(byEngine, 0.5) / Quantile(byScorer, 0.5) - 1:P1} more at the median"));
    }

    /// <summary>An event that arrives against the whole history.</summary>
    private static void MeasureStates(Weights weights, Request request, CtrHistory history, ChunkingPolicy chunking)
    {
        CtrConfig config = BenchmarkRequests.Config with { Options = BenchmarkRequests.Sizes with { Chunking = chunking } };
        using var model = new CtrTransformer(new MLContext(), ScoringNetwork.Create(config, weights));
        CtrScorer scorer = CtrScorer.Of(model);
        List<double> encoding = [], appending = [];
        for (int round = 0; round < Rounds; round++)
        {
            encoding.AddRange(Latencies(() => scorer.Encode(history), SecondsPerRound / 2));
            appending.AddRange(Appends(scorer, request));
        }
        UserState state = scorer.Encode(history);
        var saved = new MemoryStream();
        state.Save(saved);
        Console.WriteLine($"  chunking: {chunking}");
        Print("encoding the history", encoding);
        Print("appending an event", appending);
        Console.WriteLine(Invariant($"  {appending.Average() / encoding.Average():P2} of the encoding on average; ")
            + (chunking == ChunkingPolicy.LargestGaps ? Invariant($"{ShareThatMoves(request.HistoryTimestamps, Events / 2, BenchmarkRequests.Sizes.NumberOfChunks):P0} of the events move older boundaries; ") : "")
            + Invariant($"the state takes {state.ByteSize:N0} bytes, saved {saved.Length:N0}"));
    }

    /// <summary>Of the last half of the events, one by one.</summary>
    private static IEnumerable<double> Appends(CtrScorer scorer, Request request)
    {
        UserState growing = scorer.Encode(Between(..(Events / 2)));
        foreach (int next in Enumerable.Range(Events / 2, Events / 2))
        {
            CtrHistory arriving = Between(next..(next + 1));
            long start = Stopwatch.GetTimestamp();
            scorer.Append(growing, arriving);
            yield return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        }

        CtrHistory Between(Range range) => new(request.HistoryTimestamps[range], [.. request.HistoryKeys.Select(keys => keys[range])]);
    }

    /// <summary>Of the events from some one on, how many would have those before them cut otherwise, between the largest gaps.</summary>
    private static double ShareThatMoves(long[] times, int first, int chunks)
    {
        int[] before = Cut(first);
        int moved = 0;
        for (int events = first + 1; events <= times.Length; events++)
        {
            int[] after = Cut(events);
            moved += after.AsSpan(0, before.Length).SequenceEqual(before) ? 0 : 1;
            before = after;
        }
        return (double)moved / (times.Length - first);

        int[] Cut(int events)
        {
            var chunkOf = new int[events];
            TimeChunking.LargestGaps(times.AsSpan(0, events), chunks, chunkOf);
            return chunkOf;
        }
    }

    private static void CountMovedBoundaries(ClickData data)
    {
        int chunks = new SparseCtrTrainer.Options().NumberOfChunks, first = 2 * chunks;
        long[][] users = data.Rows.GroupBy(row => row.User).Select(rows => rows.Select(row => row.Timestamp).ToArray()).Where(times => times.Length > first).ToArray();
        double moved = users.Sum(times => ShareThatMoves(times, first, chunks) * (times.Length - first)), all = users.Sum(times => times.Length - first);
        Console.WriteLine(Invariant($"serving: {data.Name}, P = {chunks}, largest gaps: {moved / all:P0} of a user's events after the first {first} move older boundaries"));
    }

    private static Weights RandomWeights()
    {
        manual_seed(1);
        using CtrNetwork network = BenchmarkRequests.Sizes.CreateNetwork(BenchmarkRequests.Config);
        using IDisposable noGradient = no_grad();
        foreach (Tensor parameter in network.parameters())
            parameter.normal_(0, 0.2);
        return network.CopyWeights();
    }

    private static unsafe float[] Values(Weight weight) => new ReadOnlySpan<float>(weight.Values, (int)weight.Count).ToArray();

    /// <summary>The candidates behind the history.</summary>
    private static void Load(MeasuredProcess peer, Request request, CtrCandidate[] candidates) => peer.Ask(new
    {
        @do = "load",
        threads = 1,
        config = PyTorchBenchmark.NetworkConfig(BenchmarkRequests.Sizes, Candidates),
        times = new[] { request.HistoryTimestamps.Concat(candidates.Select(candidate => candidate.Timestamp)) },
        keys = new[]
        {
            new[] { request.HistoryKeys[0].Concat(candidates.Select(candidate => candidate.ItemKeys[0])) },
            new[] { request.HistoryKeys[1].Concat(candidates.Select(_ => BenchmarkRequests.Config.SequenceFields[1].CandidateKey)) },
        },
        users = new[] { candidates.Select(candidate => candidate.UserKeys[0][0]) },
        labels = candidates.Select(_ => 0f),
    });

    private static List<double> Latencies(Action action, double seconds)
    {
        var latencies = new List<double>();
        for (long begin = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(begin).TotalSeconds < seconds;)
        {
            long start = Stopwatch.GetTimestamp();
            action();
            latencies.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        }
        return latencies;
    }

    private static void Print(string name, List<double> latencies)
        => Console.WriteLine(Invariant($"  {name,-36}{latencies.Min(),9:F3} {Quantile(latencies, 0.5),9:F3} {Quantile(latencies, 0.99),9:F3}   {latencies.Count,6:N0} times"));

    private static double Quantile(List<double> values, double share) => values.Order().ElementAt((int)(share * (values.Count - 1)));

    private sealed class Row
    {
        public long Timestamp { get; set; }

        [KeyType(1_682)]
        public uint Item { get; set; }

        [KeyType(943)]
        public uint User { get; set; }

        [VectorType]
        public long[] HistoryTimestamp { get; set; } = [];

        [VectorType, KeyType(1_682)]
        public uint[] HistoryItem { get; set; } = [];

        [VectorType, KeyType(5)]
        public uint[] HistoryRating { get; set; } = [];
    }

    private sealed class Prediction
    {
        public float Score { get; set; }
    }
}
