using Microsoft.ML.SparseCtr.Benchmarks;

// usage: Microsoft.ML.SparseCtr.Benchmarks [BENCHMARK] [--events N] [--rows N] [--seconds N] [--data FOLDER] [--json FILE]; without a name, all benchmarks
//    or: Microsoft.ML.SparseCtr.Benchmarks --quality [--data FOLDER] [--minutes N]; begins no further experiment after N minutes, and with 0 writes the reports alone
const string quality = "--quality";
var numbers = new Dictionary<string, int> { ["--events"] = 5_000_000, ["--rows"] = 10_000_000, ["--seconds"] = 60, ["--minutes"] = int.MaxValue };
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
    [quality] = () => QualityBenchmark.Run(paths["--data"], TimeSpan.FromMinutes(numbers["--minutes"])),
};
try
{
    if (args is [Measurements.Verb])
    {
        Measurements.Run();
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
    if (paths["--json"] is not null && which is not (null or "pytorch"))
        throw new ArgumentException("--json writes the figures of pytorch alone.");

    Console.WriteLine($"{DateTime.UtcNow:yyyy-MM-dd}, {Environment.ProcessorCount} processors, .NET {Environment.Version}");
    foreach ((string name, Action run) in benchmarks)
    {
        // It takes hours, and so is run only where it is asked for.
        if (which is null ? name != quality : which == name)
            run();
    }
    return 0;
}
catch (Exception problem) when (problem is ArgumentException or InvalidDataException or IOException)
{
    Console.Error.WriteLine($"error: {problem.Message}");
    return 1;
}
