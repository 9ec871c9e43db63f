using Microsoft.ML.SparseCtr.Benchmarks;

// usage: Microsoft.ML.SparseCtr.Benchmarks [BENCHMARK] [--events N] [--rows N] [--seconds N] [--data FOLDER] [--json FILE]; without a name, all benchmarks
//    or: Microsoft.ML.SparseCtr.Benchmarks --gpu [--length N] [--dimension D] [--json FILE]; of that length and dimension alone; ends with 2 where there is no GPU
//    or: Microsoft.ML.SparseCtr.Benchmarks --quality [--data FOLDER] [--minutes N]; begins no further experiment after N minutes, and with 0 writes the reports alone
const string quality = "--quality", gpu = "--gpu", length = "--length", dimension = "--dimension";
var numbers = new Dictionary<string, int> { [length] = 0, [dimension] = 0, ["--events"] = 5_000_000, ["--rows"] = 10_000_000, ["--seconds"] = 60, ["--minutes"] = int.MaxValue };
var paths = new Dictionary<string, string?> { ["--data"] = null, ["--json"] = null };
var benchmarks = new Dictionary<string, Action>
{
    ["histories"] = () => HistoryBenchmark.Run(numbers["--events"]),
    ["metrics"] = () => MetricsBenchmark.Run(numbers["--rows"]),
    ["tables"] = TableBenchmark.Run,
    ["attention"] = AttentionBenchmark.Run,
    ["memory"] = MemoryBenchmark.Run,
    ["sharing"] = () => SharingBenchmark.Run(paths["--data"]),
    ["sweep"] = SweepBenchmark.Run,
    ["scoring"] = ScoringBenchmark.Run,
    ["serving"] = () => ServingBenchmark.Run(paths["--data"]),
    ["service"] = () => ServiceBenchmark.Run(numbers["--seconds"]),
    ["kernels"] = KernelBenchmarks.Run,
    ["pytorch"] = () => PyTorchBenchmark.Run(paths["--json"]),
    [gpu] = () => GpuBenchmark.Run(paths["--json"], numbers[length], numbers[dimension]),
    [quality] = () => QualityBenchmark.Run(paths["--data"], TimeSpan.FromMinutes(numbers["--minutes"])),
};
try
{
    if (args is [Measurements.Verb, string device, string precision])
    {
        Measurements.Run(device, precision);
        return 0;
    }
    string? which = null;
    for (int i = 0; i < args.Length; i++)
    {
        string name = args[i];
        if (numbers.ContainsKey(name))
            numbers[name] = i + 1 < args.Length && int.TryParse(args[++i], out int number) && (number > 0 || number == 0 && name == "--minutes") ? number : throw new ArgumentException($"{name} needs a positive number.");
        else if (paths.ContainsKey(name))
            paths[name] = i + 1 < args.Length ? args[++i] : throw new ArgumentException($"{name} needs a path.");
        else
            which = benchmarks.ContainsKey(name) ? name : throw new ArgumentException($"'{name}' is no benchmark: use one of {string.Join(", ", benchmarks.Keys)}.");
    }
    if (paths["--json"] is not null && which is not (null or "pytorch" or gpu))
        throw new ArgumentException($"--json writes the figures of pytorch and {gpu} alone.");

    Console.WriteLine($"{DateTime.UtcNow:yyyy-MM-dd}, {Environment.ProcessorCount} processors, .NET {Environment.Version}");
    foreach ((string name, Action run) in benchmarks)
    {
        // These take hours or a GPU, and so are run only where they are asked for.
        if (which is null ? name is not (quality or gpu) : which == name)
            run();
    }
    return 0;
}
catch (Exception problem) when (problem is ArgumentException or InvalidDataException or IOException)
{
    Console.Error.WriteLine($"error: {problem.Message}");
    return 1;
}
catch (PlatformNotSupportedException problem)
{
    Console.Error.WriteLine($"error: {problem.Message}");
    return 2;
}
