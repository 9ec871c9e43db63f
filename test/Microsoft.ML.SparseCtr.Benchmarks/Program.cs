using Microsoft.ML.SparseCtr.Benchmarks;

// usage: Microsoft.ML.SparseCtr.Benchmarks [histories | metrics | tables | attention | sharing] [--events N] [--rows N] [--data FOLDER]
try
{
    var numbers = new Dictionary<string, int> { ["--events"] = 5_000_000, ["--rows"] = 10_000_000 };
    string? which = null, dataFolder = null;
    for (int i = 0; i < args.Length; i++)
    {
        if (args[i] == "--data")
        {
            dataFolder = i + 1 < args.Length ? args[++i] : throw new ArgumentException("--data needs a folder.");
            continue;
        }
        if (numbers.ContainsKey(args[i]))
            numbers[args[i]] = i + 1 < args.Length && int.TryParse(args[++i], out int number) && number > 0 ? number : throw new ArgumentException($"'{args[i]}' is no number of events or rows.");
        else
            which = args[i] is "histories" or "metrics" or "tables" or "attention" or "sharing" ? args[i] : throw new ArgumentException($"'{args[i]}' is no benchmark: use histories, metrics, tables, attention or sharing.");
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
    return 0;
}
catch (ArgumentException problem)
{
    Console.Error.WriteLine($"error: {problem.Message}");
    return 1;
}
