using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using TorchSharp;
using static System.FormattableString;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr.Benchmarks;

/// <summary>
/// The product against PyTorch on one GPU: attention alone, and training steps with the memory that they take, over lengths of history and dimensions.
/// PyTorch runs the same network in every way that it has (pytorch/sparse_ctr.py); its best is the fastest of them at each size.
/// </summary>
internal sealed class GpuBenchmark : IDisposable
{
    private const int Tokens = 65_536;
    private const int Rounds = 5;
    private const double SecondsPerRound = 0.3;
    private const int MemorySteps = 5;
    private const int LongestAllPairs = 4_096;
    private const string Step = "training-step";

    private static readonly int[] s_lengths = [512, 1_024, 2_048, 4_096, 8_192, 16_384];
    private static readonly int[] s_dimensions = [64, 128, 256, 512];

    /// <summary>
    /// How often attention has to read or write a [tokens, d] matrix: forward the tokens once, queries, keys, values and what is attended twice, the output
    /// once; backward the output's gradient, tokens, queries, keys, values, what is attended and the tokens' gradient once, the gradients of the other four twice.
    /// </summary>
    private static readonly Dictionary<string, int> s_transfers = new() { ["attention-forward"] = 10, ["attention-forward-backward"] = 25 };

    /// <summary>A figure of the product and of PyTorch's best.</summary>
    private sealed record Figure(string Name, int N, int D, string Precision, double Ours, double Peer, string Variant, string Unit, bool IsMoreBetter = false)
    {
        /// <summary>How many times better the product is.</summary>
        public double Ratio => IsMoreBetter ? Ours / Peer : Peer / Ours;
    }

    private static Device Card => new(DeviceType.CUDA, 0);

    private readonly Precision _precision;
    private readonly List<Figure> _all;
    private readonly MeasuredProcess _ours, _peer;
    private readonly double _bandwidth, _matrixRate;

    /// <summary>The variants that are measured.</summary>
    private readonly string[] _variants;

    /// <summary>Measures, or says that there is nothing to measure on.</summary>
    /// <param name="jsonFile">Where the figures are written to for scripts, if anywhere.</param>
    /// <param name="length">The only length of history to measure; 0 for all.</param>
    /// <param name="dimension">The only dimension to measure; 0 for all.</param>
    /// <exception cref="PlatformNotSupportedException">There is no GPU.</exception>
    public static void Run(string? jsonFile, int length, int dimension)
    {
        if (!cuda.is_available())
            throw new PlatformNotSupportedException("bench --gpu needs a GPU: libtorch sees no CUDA device here.");
        int[] lengths = length > 0 ? [length] : s_lengths, dimensions = dimension > 0 ? [dimension] : s_dimensions;
        var all = new List<Figure>();
        foreach (Precision precision in Precision.All)
        {
            Dictionary<(int, int), string> best;
            using (var benchmark = new GpuBenchmark(precision, all))
            {
                benchmark.Check(dimensions[0]);
                foreach (string attention in s_transfers.Keys)
                    benchmark.Measure(attention, lengths, dimensions);
                best = benchmark.Measure(Step, lengths, dimensions);
            }
            MeasureMemory(precision, best, all);
        }
        if (jsonFile is not null)
            Write(all, jsonFile);
    }

    private GpuBenchmark(Precision precision, List<Figure> all)
    {
        (_precision, _all) = (precision, all);
        _ours = MeasuredProcess.Product(Card, precision);
        _peer = MeasuredProcess.PyTorch(Card, precision);
        JsonNode peer = _peer.Ask(new { @do = "variants" }), card = _ours.Ask(new { @do = "card" });
        (_bandwidth, _matrixRate) = ((double)card["bandwidth"]!, (double)card[precision.Name]!);
        SparseCtrTrainer.Options sizes = BenchmarkRequests.Sizes;
        Console.WriteLine(Invariant($"## {precision.Name}: against PyTorch {peer["version"]} on one {peer["device"]}"));
        Console.WriteLine();
        Console.WriteLine(Invariant($"H = {sizes.NumberOfHeads}, P = {sizes.NumberOfChunks}, r = {sizes.TransitionBehaviors}, w = {sizes.LocalWindow}, ")
            + Invariant($"L = {sizes.NumberOfBlocks}, SwiGLU of 2d; {Tokens:N0} tokens in a batch, every one a query but in the last block; ")
            + Invariant($"in turns, the median of {Rounds} rounds."));
        Console.WriteLine(Invariant($"The card, measured in this run: a copy of 1 GiB reads and writes {_bandwidth:N0} GB/s; products of 8,192 x 8,192 matrices ")
            + Invariant($"{(double)card["float32"]!:N0} GFLOP/s in float32, {(double)card["tf32"]!:N0} with TF32, {(double)card["bfloat16"]!:N0} in bfloat16. ")
            + "float32 is without TF32, ours and PyTorch's.");
        foreach ((string variant, JsonNode? missing) in peer["missing"]!.AsObject())
        {
            if (missing is not null)
                Console.WriteLine($"PyTorch's {variant} is not here: needs {missing}.");
        }
        // Uncompiled, flex_attention goes through all pairs: it is there to be compared with, not to be used.
        _variants = peer["missing"]!.AsObject().Where(variant => variant.Value is null && variant.Key != "flex").Select(variant => variant.Key).ToArray();
    }

    public void Dispose()
    {
        _ours.Dispose();
        _peer.Dispose();
    }

    private static SparseCtrTrainer.Options SizesOf(int dimension)
        => BenchmarkRequests.Sizes with { ModelDimension = dimension, FeedForwardDimension = 2 * dimension };

    private static JsonObject LoadRequest(int n, int d) => PyTorchBenchmark.LoadRequest(SizesOf(d), n, Tokens / n, Environment.ProcessorCount);

    /// <summary>Holds every variant to the product: the same weights and requests must give the same numbers.</summary>
    private void Check(int d)
    {
        JsonObject load = PyTorchBenchmark.LoadRequest(SizesOf(d), 3 * SizesOf(d).LocalWindow, 3, Environment.ProcessorCount);
        _ours.Ask(load);
        _peer.Ask(load);
        JsonObject expected = PyTorchBenchmark.CheckRequest(_ours, PyTorchBenchmark.Operators);
        expected["mayFail"] = true;
        Console.WriteLine();
        foreach (string variant in _variants)
        {
            expected["variant"] = variant;
            JsonNode actual = _peer.Ask(expected);
            if (actual["failed"] is JsonNode failed)
            {
                Console.WriteLine($"PyTorch's {variant} does not run: {failed}");
                continue;
            }
            double most = PyTorchBenchmark.LargestDifference(expected, actual, _precision.Tolerance);
            Console.WriteLine(Invariant($"PyTorch's {variant} computes what ours does: attention, gradients and logits differ by {most:E1} at most."));
        }
    }

    /// <returns>The fastest variant at each length and dimension.</returns>
    private Dictionary<(int N, int D), string> Measure(string what, int[] lengths, int[] dimensions)
    {
        var best = new Dictionary<(int, int), string>();
        var problems = new List<string>();
        Console.WriteLine();
        Console.WriteLine($"### {what}, ms");
        Console.WriteLine();
        string lastRate = s_transfers.ContainsKey(what) ? "bandwidth" : "rows/s";
        WriteRow(["n", "d", "rows", "ours", .. _variants, "PyTorch's best", "ratio", "matrix rate: ours", "PyTorch", lastRate + ": ours", "PyTorch"]);
        WriteRow(Enumerable.Repeat("---", _variants.Length + 10));
        foreach (int d in dimensions)
        {
            foreach (int n in lengths)
            {
                (double ours, Dictionary<string, double> peers) = Times(what, n, d, problems);
                IEnumerable<string> ofPeers = _variants.Select(variant => peers.TryGetValue(variant, out double time) ? Invariant($"{time:F2}") : "");
                string[] cells = [Invariant($"{n:N0}"), $"{d}", $"{Tokens / n}", Invariant($"{ours:F2}"), .. ofPeers];
                if (peers.Count == 0)
                {
                    WriteRow([.. cells, .. Enumerable.Repeat("", 6)]);
                    continue;
                }
                (string variant, double peer) = peers.MinBy(one => one.Value);
                best[(n, d)] = variant;
                Figure time = Add(new(what, n, d, _precision.Name, ours, peer, variant, "ms"));
                Figure rate = AddRate(what + "-matrix-rate-share", 100 * Operations(what, n, d) / _matrixRate, "%");
                Figure last = s_transfers.TryGetValue(what, out int transfers)
                    ? AddRate(what + "-bandwidth-share", 100 * Bytes(transfers, d) / _bandwidth, "%")
                    : AddRate("rows-per-second", Tokens / n, "rows/s");
                WriteRow([.. cells, variant, Invariant($"{time.Ratio:F2}"), Percent(rate.Ours), Percent(rate.Peer), Cell(last, last.Ours), Cell(last, last.Peer)]);

                // So much in the time measured, by the second.
                Figure AddRate(string name, double amount, string unit)
                    => Add(new(name, n, d, _precision.Name, 1e3 * amount / ours, 1e3 * amount / peer, variant, unit, IsMoreBetter: true));

                Figure Add(Figure figure)
                {
                    _all.Add(figure);
                    return figure;
                }
            }
        }
        Console.WriteLine();
        foreach (string problem in problems)
            Console.WriteLine(problem);
        return best;

        static string Percent(double share) => Invariant($"{share:F1}%");

        static string Cell(Figure figure, double value) => figure.Unit == "%" ? Percent(value) : Invariant($"{value:N0}");
    }

    /// <summary>Milliseconds of the product and of PyTorch's variants, measured in turns: the medians of all rounds.</summary>
    private (double Ours, Dictionary<string, double> Peers) Times(string what, int n, int d, List<string> problems)
    {
        JsonObject load = LoadRequest(n, d);
        _ours.Ask(load);
        _peer.Ask(load);
        var ours = new List<double>();
        Dictionary<string, List<double>> peers = _variants.Where(variant => n <= LongestAllPairs || !IsOverAllPairs(variant))
            .ToDictionary(variant => variant, _ => new List<double>());
        for (int round = 0; round < Rounds; round++)
        {
            ours.Add((double)_ours.Ask(new { @do = "measure", what = what == Step ? FitSteps.Name : what, seconds = SecondsPerRound })["milliseconds"]!);
            foreach ((string variant, List<double> times) in peers)
            {
                JsonNode answer = _peer.Ask(new { @do = "measure", what, variant, seconds = SecondsPerRound, mayFail = true });
                if (answer["failed"] is JsonNode failed)
                {
                    problems.Add(Invariant($"n = {n:N0}, d = {d}: PyTorch's {variant} does not run: {failed}"));
                    peers.Remove(variant);
                }
                else
                    times.Add((double)answer["milliseconds"]!);
            }
        }
        return (Median(ours), peers.ToDictionary(variant => variant.Key, variant => Median(variant.Value)));
    }

    private static bool IsOverAllPairs(string variant) => variant.Split('+')[0] == "sdpa";

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);

    /// <summary>
    /// Operations of the matrix products, in billions: see <see cref="PyTorchBenchmark.MatrixProductsOfStep"/>; backward they are twice as many as forward.
    /// </summary>
    private static double Operations(string what, int n, int d) => Tokens / 1e9 * what switch
    {
        "attention-forward" => PyTorchBenchmark.MatrixProductsOfAttention(SizesOf(d), n),
        "attention-forward-backward" => 3 * PyTorchBenchmark.MatrixProductsOfAttention(SizesOf(d), n),
        _ => PyTorchBenchmark.MatrixProductsOfStep(SizesOf(d), n),
    };

    /// <summary>Billions of bytes of so many [tokens, d] matrices.</summary>
    private double Bytes(int transfers, int d) => (double)transfers * Tokens * d * _precision.Bytes / 1e9;

    /// <summary>By how much training steps raise the card's memory, in new processes: ours, and PyTorch's variant that was the fastest.</summary>
    private static void MeasureMemory(Precision precision, Dictionary<(int N, int D), string> best, List<Figure> all)
    {
        Console.WriteLine();
        Console.WriteLine("### peak-memory, MB");
        Console.WriteLine();
        WriteRow(["n", "d", "rows", "ours", "PyTorch", "PyTorch's best", "ratio", "PyTorch's tensors"]);
        WriteRow(Enumerable.Repeat("---", 8));
        foreach (((int n, int d), string variant) in best)
        {
            (double ours, _) = InNew(MeasuredProcess.Product, new { @do = "measure", what = FitSteps.Name, seconds = 0.0 });
            (double peer, JsonNode answer) = InNew(MeasuredProcess.PyTorch, new { @do = "memory", variant, steps = MemorySteps });
            var figure = new Figure("peak-memory", n, d, precision.Name, ours, peer, variant, "MB");
            all.Add(figure);
            string[] cells = [Invariant($"{n:N0}"), $"{d}", $"{Tokens / n}", Invariant($"{ours:N0}"), Invariant($"{peer:N0}"), variant, Invariant($"{figure.Ratio:F2}")];
            WriteRow([.. cells, Invariant($"{(double)answer["bytes"]! / 1e6:N0}")]);

            (double Megabytes, JsonNode Answer) InNew(Func<Device, Precision, MeasuredProcess> start, object steps)
            {
                using MeasuredProcess process = start(Card, precision);
                process.Ask(LoadRequest(n, d));
                double before = UsedMegabytes();
                JsonNode answer = process.Ask(steps);
                return (UsedMegabytes() - before, answer);
            }
        }
    }

    /// <summary>
    /// Of all cards together. What nvidia-smi says of processes it says by the system's process ids, which a container does not know; and both
    /// libraries keep what they have taken, so that it need not be watched.
    /// </summary>
    private static double UsedMegabytes()
    {
        const string program = "nvidia-smi";
        try
        {
            string[] arguments = ["--query-gpu=memory.used", "--format=csv,noheader,nounits"];
            using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true })!;
            string used = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return 1.048576 * used.Split('\n', StringSplitOptions.RemoveEmptyEntries).Sum(line => double.Parse(line, CultureInfo.InvariantCulture));
        }
        catch (Exception problem) when (problem is Win32Exception or FormatException)
        {
            throw new InvalidDataException($"{program} does not tell the card's memory: {problem.Message}");
        }
    }

    private static void WriteRow(IEnumerable<string> cells) => Console.WriteLine($"| {string.Join(" | ", cells)} |");

    private static void Write(List<Figure> all, string file)
    {
        var options = new JsonSerializerOptions { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.CamelCase };
        File.WriteAllText(file, JsonSerializer.Serialize(all, options) + "\n");
    }
}
