using System.Text.Json;
using System.Text.Json.Nodes;
using static System.FormattableString;

namespace Microsoft.ML.SparseCtr.Benchmarks;

/// <summary>
/// The product against PyTorch: the same network in PyTorch's operators, and with dense causal attention in the place of EvoAttention. Attention
/// alone, whole training steps, and the memory that they take, over lengths of history.
/// </summary>
internal static class PyTorchBenchmark
{
    private const int Threads = 2;
    private const int Tokens = 16_384;
    private const int Rounds = 5;
    private const double SecondsPerRound = 0.3;
    private const double Tolerance = 1e-4;
    private const int MemoryBatch = 16;
    private const int LongestDense = 4_096;
    private const string Dense = "dense";

    /// <summary>The variant of PyTorch's network that is made of plain operators.</summary>
    public const string Operators = "operators";

    private static readonly int[] s_lengths = [128, 512, 1_024, 2_048, 4_096];

    /// <summary>A figure of the product, of PyTorch with EvoAttention and, where it is measured, of PyTorch with dense attention.</summary>
    private sealed record Comparison(string Name, int N, int Batch, string Unit, double Ours, double Peer, double? Dense, bool IsMoreBetter = false)
    {
        /// <summary>How many times better the product is.</summary>
        public double Ratio(double peer) => IsMoreBetter ? Ours / peer : peer / Ours;
    }

    /// <param name="jsonFile">Where the figures are written to for scripts, if anywhere.</param>
    public static void Run(string? jsonFile)
    {
        var all = new List<Comparison>();
        SparseCtrTrainer.Options sizes = BenchmarkRequests.Sizes;
        using (MeasuredProcess ours = MeasuredProcess.Product(), peer = MeasuredProcess.PyTorch())
        {
            Console.WriteLine(Invariant($"against PyTorch: d = {sizes.ModelDimension}, H = {sizes.NumberOfHeads}, P = {sizes.NumberOfChunks}, ")
                + Invariant($"r = {sizes.TransitionBehaviors}, w = {sizes.LocalWindow}, L = {sizes.NumberOfBlocks}; every token a query but in the last block; float32"));
            Console.WriteLine(Invariant($"  {Threads} threads; ")
                + Invariant($"alternately, the fastest of {Rounds} rounds; both with MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=100000000000"));
            Console.WriteLine("  attention: projections included, what depends on timestamps alone is prepared; training step: packing, layout from timestamps, "
                + "dropout, clipping and AdamW included");
            Console.WriteLine("  memory: the peak (VmHWM) of a new process in 3 training steps, without what it had (VmRSS) before the first");
            (double oursPeak, double peerPeak) = Products(ours, peer);
            Check(ours, peer);

            Console.WriteLine();
            Console.WriteLine("                                 n  batch |      ours    PyTorch  ratio |      dense  ratio |");
            foreach (string what in new[] { "attention-forward", "attention-forward-backward" })
            {
                foreach (int n in s_lengths.Append(Tokens))
                    Add(Measure(what, n, ours, peer));
            }
            Comparison[] steps = s_lengths.Select(n => Add(Measure("training-step", n, ours, peer))).ToArray();
            foreach (Comparison step in steps)
                Add(RowsPerSecond(step));
            foreach (Comparison step in steps)
                Add(MatrixProductShare(step, oursPeak, peerPeak));
            all.AddRange(TimePerToken(ours));
        }
        foreach (int n in s_lengths)
            Add(Memory(n, n < LongestDense ? MemoryBatch : Tokens / n));

        if (jsonFile is not null)
            Write(all, jsonFile);

        Comparison Add(Comparison comparison)
        {
            all.Add(comparison);
            string dense = comparison.Dense is double value ? Invariant($"{value,10:N1} {comparison.Ratio(value),5:F1}x") : new string(' ', 17);
            Console.WriteLine(Invariant($"{comparison.Name,-27}{comparison.N,7:N0} {comparison.Batch,6} |")
                + Invariant($"{comparison.Ours,10:N1} {comparison.Peer,10:N1} {comparison.Ratio(comparison.Peer),5:F1}x | {dense} | {comparison.Unit}"));
            return comparison;
        }
    }

    private static void Load(MeasuredProcess process, int n, int batch) => process.Ask(LoadRequest(BenchmarkRequests.Sizes, n, batch, Threads));

    /// <summary>What makes a measured process take sizes, and a batch of so many requests of n tokens.</summary>
    public static JsonObject LoadRequest(SparseCtrTrainer.Options sizes, int n, int batch, int threads)
    {
        JsonObject request = JsonSerializer.SerializeToNode(BenchmarkRequests.Plain(BenchmarkRequests.Batch(n, batch)))!.AsObject();
        request["do"] = "load";
        (request["n"], request["batch"], request["threads"]) = (n, batch, threads);
        request["config"] = NetworkConfig(sizes, candidates: 1);
        return request;
    }

    /// <summary>The network's sizes, as the script takes them.</summary>
    /// <param name="sizes">The sizes.</param>
    /// <param name="candidates">Of each request.</param>
    public static JsonNode NetworkConfig(SparseCtrTrainer.Options sizes, int candidates)
    {
        return JsonSerializer.SerializeToNode(new
        {
            candidates,
            dimension = sizes.ModelDimension,
            heads = sizes.NumberOfHeads,
            chunks = sizes.NumberOfChunks,
            transitions = sizes.TransitionBehaviors,
            window = sizes.LocalWindow,
            timeScale = sizes.TimeScaleSeconds,
            embedding = sizes.EmbeddingDimension,
            head = sizes.HeadDimension,
            feedForward = sizes.FeedForwardDimension,
            blocks = sizes.NumberOfBlocks,
            sequenceRows = BenchmarkRequests.Config.SequenceFields.Select(field => field.TableRows),
            userRows = BenchmarkRequests.Config.UserFields.Select(field => field.TableRows),
            dropout = Measurements.Options.Dropout,
            tokenDropout = Measurements.Options.TokenDropout,
            itemDropout = Measurements.Options.ItemDropout,
        })!;
    }

    private static (double Ours, double Peer) Products(MeasuredProcess ours, MeasuredProcess peer)
    {
        var request = new { @do = "products", seconds = SecondsPerRound, threads = Threads };
        (double ours, double peer) peak = (0, 0);
        JsonNode oursAnswer = ours.Ask(request), peerAnswer = peer.Ask(request);
        for (int round = 0; round < Rounds; round++)
        {
            peak.ours = Math.Max(peak.ours, (double)(oursAnswer = ours.Ask(request))["gigaflops"]!);
            peak.peer = Math.Max(peak.peer, (double)(peerAnswer = peer.Ask(request))["gigaflops"]!);
        }
        string library = (string)peerAnswer["library"]!;
        if (!library.Contains("openblas"))
            throw new ArgumentException($"PyTorch's BLAS is {library}, a slow one, with which nothing should be compared: apt-get install libopenblas0-openmp.");
        Console.WriteLine(Invariant($"  product of 512 x 512 matrices, the peak that shares are of: ours {peak.ours:F0} GFLOP/s ({oursAnswer["library"]}), ")
            + Invariant($"PyTorch {peerAnswer["version"]} {peak.peer:F0} GFLOP/s ({library})"));
        return peak;
    }

    /// <summary>Holds PyTorch's network to the product's: the same weights and requests must give the same numbers.</summary>
    private static void Check(MeasuredProcess ours, MeasuredProcess peer)
    {
        int n = 3 * BenchmarkRequests.Sizes.LocalWindow;
        Load(ours, n, 3);
        Load(peer, n, 3);
        JsonObject expected = CheckRequest(ours, Operators);
        double most = LargestDifference(expected, peer.Ask(expected), Tolerance);
        Console.WriteLine(Invariant($"  the same weights and requests give the same attention, gradients and logits: they differ by {most:E1} at most"));
    }

    /// <summary>What the product computes of the batch that it has loaded, as the request to PyTorch to compute the same.</summary>
    public static JsonObject CheckRequest(MeasuredProcess ours, string variant)
    {
        JsonObject expected = ours.Ask(new { @do = "check" }).AsObject();
        (expected["do"], expected["variant"]) = ("check", variant);
        return expected;
    }

    /// <summary>The largest difference between what the product and PyTorch computed, of the largest number or of 1.</summary>
    /// <exception cref="InvalidDataException">It is larger than the tolerance.</exception>
    public static double LargestDifference(JsonNode expected, JsonNode actual, double tolerance)
    {
        double most = 0;
        foreach (string what in new[] { "attended", "tokensGradient", "weightsGradient", "logits" })
        {
            double[] left = Numbers(expected[what]), right = Numbers(actual[what]);
            double difference = left.Zip(right, (a, b) => Math.Abs(a - b)).Max() / Math.Max(1, left.Max(Math.Abs));
            if (left.Length != right.Length || !(difference <= tolerance))
            {
                throw new InvalidDataException(Invariant($"PyTorch ({expected["variant"]}) computes something else: {what} differ by {difference:E1} of the largest. ")
                    + "Nothing was measured.");
            }
            most = Math.Max(most, difference);
        }
        return most;

        static double[] Numbers(JsonNode? values) => values!.AsArray().Select(value => (double)value!).ToArray();
    }

    private static Comparison Measure(string what, int n, MeasuredProcess ours, MeasuredProcess peer)
    {
        int batch = Tokens / n;
        Load(ours, n, batch);
        Load(peer, n, batch);
        (double oursBest, double peerBest, double denseBest) = (double.PositiveInfinity, double.PositiveInfinity, double.PositiveInfinity);
        for (int round = 0; round < Rounds; round++)
        {
            oursBest = Math.Min(oursBest, Milliseconds(ours, what));
            peerBest = Math.Min(peerBest, Milliseconds(peer, what));
            if (n <= LongestDense)
                denseBest = Math.Min(denseBest, Milliseconds(peer, what, Dense));
        }
        return new(what, n, batch, "ms", oursBest, peerBest, n <= LongestDense ? denseBest : null);
    }

    private static double Milliseconds(MeasuredProcess process, string what, string variant = Operators)
        => (double)process.Ask(new { @do = "measure", what, variant, seconds = SecondsPerRound })["milliseconds"]!;

    /// <summary>Microseconds per token of the product's attention, forward and backward: the lengths alternately, each beside the product at the first one.</summary>
    private static IEnumerable<Comparison> TimePerToken(MeasuredProcess ours)
    {
        int[] lengths = [512, 1_024, 2_048, 4_096, Tokens];
        double[] best = lengths.Select(_ => double.PositiveInfinity).ToArray();
        for (int round = 0; round < Rounds; round++)
        {
            for (int i = 0; i < lengths.Length; i++)
            {
                Load(ours, lengths[i], Tokens / lengths[i]);
                best[i] = Math.Min(best[i], 1e3 / Tokens * Milliseconds(ours, "attention-forward-backward"));
            }
        }
        Console.WriteLine("time per token of ours, attention forward and backward: "
            + string.Join(", ", lengths.Zip(best, (n, time) => Invariant($"{time:F2} µs at n = {n:N0}")))
            + Invariant($"; {best.Max() / best.Min():F2} times from the least to the most"));
        return lengths.Zip(best, (n, time) => new Comparison("time-per-token", n, Tokens / n, "µs", time, best[0], null));
    }

    private static Comparison RowsPerSecond(Comparison step)
    {
        return step with { Name = "rows-per-second", Unit = "rows/s", IsMoreBetter = true, Ours = Rate(step.Ours), Peer = Rate(step.Peer), Dense = Rate(step.Dense!.Value) };

        double Rate(double milliseconds) => 1e3 * step.Batch / milliseconds;
    }

    /// <summary>The share of the speed of matrix products that the network's own reach in a step; dense attention multiplies more, and has none here.</summary>
    private static Comparison MatrixProductShare(Comparison step, double oursPeak, double peerPeak)
    {
        double gigaflops = MatrixProductsOfStep(BenchmarkRequests.Sizes, step.N) * Tokens / 1e9;
        return step with { Name = "matrix-product-share", Unit = "% of the peak", IsMoreBetter = true, Ours = Share(step.Ours, oursPeak), Peer = Share(step.Peer, peerPeak), Dense = null };

        double Share(double milliseconds, double peak) => 100 * gigaflops / (milliseconds / 1e3 * peak);
    }

    private static Comparison Memory(int n, int batch)
    {
        return new("peak-memory", n, batch, "MB", InNew(MeasuredProcess.Product), InNew(MeasuredProcess.PyTorch), InNew(MeasuredProcess.PyTorch, Dense));

        double InNew(Func<MeasuredProcess> start, string variant = Operators)
        {
            using MeasuredProcess process = start();
            Load(process, n, batch);
            return (double)process.Ask(new { @do = "memory", variant, steps = 3 })["bytes"]! / 1e6;
        }
    }

    /// <summary>
    /// Floating-point operations per token in the matrix products of a training step, two per multiplication: of the tokens' map; in every block of
    /// keys and values; in all but the last, where only the candidate asks, also of queries, outputs, gates, SwiGLU and, for each key that a token
    /// sees, on average, of logits and values; and twice as much backward. What a backward pass computes anew does not count.
    /// </summary>
    public static double MatrixProductsOfStep(SparseCtrTrainer.Options sizes, int n)
    {
        double d = sizes.ModelDimension;
        double tokens = BenchmarkRequests.Config.SequenceFields.Length * sizes.EmbeddingDimension * d;
        double swiGlu = 2 * 3 * sizes.FeedForwardDimension * d, keysAndValues = 2 * 2 * d * d;
        return 3 * (2 * tokens + (sizes.NumberOfBlocks - 1) * (MatrixProductsOfAttention(sizes, n) + swiGlu) + keysAndValues);
    }

    /// <summary>The same in attention alone, forward, where every token asks.</summary>
    public static double MatrixProductsOfAttention(SparseCtrTrainer.Options sizes, int n)
    {
        double d = sizes.ModelDimension, w = sizes.LocalWindow;
        double keysSeen = 2 + sizes.NumberOfChunks * (1 + sizes.TransitionBehaviors) / 2.0 + w * (1 - w / (2 * n));
        return 2 * (4 * d * d + 3 * sizes.NumberOfHeads * d + 2 * keysSeen * d);
    }

    private static void Write(List<Comparison> all, string file)
    {
        var figures = all.SelectMany(each => new[] { (each.Name, Peer: (double?)each.Peer), (Name: each.Name + "-dense", Peer: each.Dense) }
            .Where(figure => figure.Peer is not null)
            .Select(figure => new { name = figure.Name, n = each.N, ours = each.Ours, peer = figure.Peer!.Value, unit = each.Unit, ratio = each.Ratio(figure.Peer!.Value) }));
        File.WriteAllText(file, JsonSerializer.Serialize(figures, new JsonSerializerOptions { WriteIndented = true }) + "\n");
    }
}
