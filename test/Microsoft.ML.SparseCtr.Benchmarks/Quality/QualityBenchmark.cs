using System.Diagnostics;
using System.Runtime.InteropServices;
using static System.FormattableString;

namespace Microsoft.ML.SparseCtr.Benchmarks;

/// <summary>
/// How well the models predict, and what they cost: hundreds of trainings, which take hours. What is done is kept, so that a run goes on where
/// the last one ended, and several processes, such as one for each core, share the work.
/// </summary>
internal static class QualityBenchmark
{
    private const int ExperimentsPerReport = 10;

    /// <param name="dataFolder">A folder with MovieLens 100K, or null for the generated data alone.</param>
    /// <param name="limit">After this long no further experiment is begun.</param>
    public static void Run(string? dataFolder, TimeSpan limit)
    {
        var clock = Stopwatch.StartNew();
        if (dataFolder is null)
            Console.WriteLine("quality: without --data FOLDER, MovieLens 100K is skipped");
        Datasets data = Dataset.Load(dataFolder);
        var results = new ResultLog("docs/results/quality.jsonl", "artifacts/quality");
        var report = new QualityReport(results, "docs/results");
        (string machine, string commit) = (Machine(), Commit());
        var failed = new HashSet<string>();
        int begun = 0;
        while (clock.Elapsed < limit && Next() is var (next, claim))
        {
            using IDisposable claimed = claim;
            Console.Write($"{next.Id}: ");
            try
            {
                (Result result, float[] scores) = next.Run();
                results.Append(result with { Date = DateTime.UtcNow, Machine = machine, Commit = commit }, scores);
                Console.WriteLine(Invariant($"AUC {result.Auc:F4}, fit in {result.FitSeconds:F1} s"));
            }
            catch (InvalidOperationException problem)
            {
                // One that diverges must not end the hours of the others; the report shows that it is missing.
                failed.Add(next.Id);
                Console.WriteLine($"failed: {problem.Message}");
            }
            if (++begun % ExperimentsPerReport == 0)
                Report();
        }
        Report();
        Console.WriteLine("quality: docs/results/quality.md is written");

        // A new plan each time: it takes up what tuning has found.
        (Experiment, IDisposable)? Next()
        {
            results.Refresh();
            foreach (Experiment experiment in new Plan(data, results).Experiments)
            {
                if (results.Of(experiment) is null && !failed.Contains(experiment.Id) && results.Claim(experiment) is { } claim)
                    return (experiment, claim);
            }
            return null;
        }

        void Report()
        {
            results.Refresh();
            results.InTurn(() => report.Write(new Plan(data, results)));
        }
    }

    private static string Machine()
    {
        const string linux = "/proc/cpuinfo";
        string? cpu = File.Exists(linux) ? File.ReadLines(linux).FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal)) : null;
        return $"{Environment.ProcessorCount} {(Environment.ProcessorCount == 1 ? "core" : "cores")} for each process, {cpu?.Split(": ")[^1] ?? $"{RuntimeInformation.ProcessArchitecture}, {RuntimeInformation.OSDescription}"}";
    }

    /// <summary>The commit, and "+" where files other than the results differ from it.</summary>
    private static string Commit() => Git("rev-parse --short HEAD") + (Git("status --porcelain -- . :!docs/results").Length > 0 ? "+" : "");

    private static string Git(string arguments)
    {
        using Process git = Process.Start(new ProcessStartInfo("git", arguments) { RedirectStandardOutput = true })!;
        string output = git.StandardOutput.ReadToEnd().Trim();
        git.WaitForExit();
        return git.ExitCode == 0 ? output : throw new InvalidDataException($"git {arguments} ended with exit code {git.ExitCode}.");
    }
}
