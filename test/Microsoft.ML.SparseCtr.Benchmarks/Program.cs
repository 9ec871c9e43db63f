using Microsoft.ML.SparseCtr.Benchmarks;

// usage: Microsoft.ML.SparseCtr.Benchmarks [BENCHMARK] [--events N] [--rows N] [--data FOLDER] [--json FILE]; without a name, all benchmarks
try
{
    string[] benchmarks = ["histories", "metrics", "tables", "attention", "sharing", "kernels", "pytorch"];
    var numbers = new Dictionary<string, int> { ["--events"] = 5_000_000, ["--rows"] = 10_000_000 };
    string? which = null, dataFolder = null, jsonFile = null;
    for (int i = 0; i < args.Length; i++)
    {
        if (numbers.ContainsKey(args[i]))
            numbers[args[i]] = i + 1 < args.Length && int.TryParse(args[++i], out int number) && number > 0 ? number : throw new ArgumentException($"'{args[i]}' is no number of events or rows.");
        else if (args[i] == "--data")
            dataFolder = ++i < args.Length ? args[i] : throw new ArgumentException("--data needs a folder.");
        else if (args[i] == "--json")
            jsonFile = ++i < args.Length ? args[i] : throw new ArgumentException("--json needs a file.");
        else
            which = benchmarks.Append(Measurements.Verb).Contains(args[i]) ? args[i] : throw new ArgumentException($"'{args[i]}' is no benchmark: use {string.Join(", ", benchmarks[..^1])} or {benchmarks[^1]}.");
    }
    if (jsonFile is not null && which is not (null or "pytorch"))
        throw new ArgumentException("--json writes the figures of pytorch alone.");

    if (which == Measurements.Verb)
    {
        Measurements.Run();
        return 0;
    }
    Console.WriteLine($"{DateTime.UtcNow:yyyy-MM-dd}, {Environment.ProcessorCount} processors, .NET {Environment.Version}");
    if (which is null or "histories")
        HistoryBenchmark.Run(numbers["--events"]);
    if (which is null or "metrics")
        MetricsBenchmark.Run(numbers["--rows"]);
    if (which is null or "tables")
        TableBenchmark.Run();
    if (which is null or "attention")
        AttentionBenchmark.Run();
    if (which is null or "sharing")
        SharingBenchmark.Run(dataFolder);
    if (which is null or "kernels")
        KernelBenchmarks.Run();
    if (which is null or "pytorch")
        PyTorchBenchmark.Run(jsonFile);
    return 0;
}
catch (Exception problem) when (problem is ArgumentException or InvalidDataException or EndOfStreamException)
{
    Console.Error.WriteLine($"error: {problem.Message}");
    return 1;
}
