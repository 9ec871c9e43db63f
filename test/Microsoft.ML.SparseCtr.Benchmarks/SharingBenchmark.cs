using SparseCtr.Samples;
using static System.FormattableString;

namespace Microsoft.ML.SparseCtr.Benchmarks;

/// <summary>
/// The demos' trainings by both chunking policies, row by row and with shared histories, over three seeds: AUC on the test rows, the time of
/// training, and how sure the differences to the first are.
/// </summary>
internal static class SharingBenchmark
{
    /// <param name="dataFolder">A folder with MovieLens 100K, or null for the generated data alone.</param>
    public static void Run(string? dataFolder)
    {
        Compare(new Dataset(GeneratedData.Create()));
        if (dataFolder is not null)
            Compare(new Dataset(MovieLens.Load(dataFolder)));
        else
            Console.WriteLine("sharing: --data FOLDER compares on MovieLens 100K too");
    }

    private static Variant[] VariantsOn(Dataset data)
    {
        SparseCtrTrainer.Options shared = Demo.OptionsFor(data.Clicks, new SparseCtrTrainer.Options()), rowByRow = shared with { RequestsPerHistory = 1 };
        return
        [
            new("largest gaps, row by row", data, rowByRow with { Chunking = ChunkingPolicy.LargestGaps }),
            new("causal, row by row", data, rowByRow with { Chunking = ChunkingPolicy.Causal }),
            new("largest gaps, shared", data, shared with { Chunking = ChunkingPolicy.LargestGaps }),
            new("causal, shared", data, shared with { Chunking = ChunkingPolicy.Causal }),
        ];
    }

    private static void Compare(Dataset data)
    {
        Variant[] variants = VariantsOn(data);
        // Seed after seed, so that all variants meet the machine in the same mood.
        Experiment[] experiments = variants.SelectMany(variant => variant.Experiments).OrderBy(experiment => experiment.Seed).ToArray();
        string seeds = string.Join(", ", experiments.Select(experiment => experiment.Seed).Distinct());
        Console.WriteLine(Invariant($"sharing: {data.Name}, {data.Clicks.Rows.Length:N0} rows, test AUC of seeds {seeds}; seconds to fit the pipeline"));
        ILookup<Variant, (Result Result, double[] Areas)> trained = experiments.ToLookup(experiment => experiment.Variant, experiment =>
        {
            (Result result, float[] scores) = experiment.Run();
            return (result, data.Bootstrap.Areas(scores));
        });

        Console.WriteLine("| training | AUC | mean | difference, 95% by users and seeds | seconds | times as fast |");
        Console.WriteLine("| --- | --- | --- | --- | --- | --- |");
        Result[] first = ResultsOf(variants[0]);
        foreach (Variant variant in variants)
        {
            Result[] runs = ResultsOf(variant);
            (double low, double high) = UserBootstrap.Interval(AreasOf(variant), AreasOf(variants[0]));
            Console.WriteLine($"| {variant.Name} | {string.Join(", ", runs.Select(run => Invariant($"{run.Auc:F4}")))} | "
                + Invariant($"{runs.Average(run => run.Auc):F4} | {runs.Average(run => run.Auc) - first.Average(run => run.Auc):+0.0000;-0.0000} ({low:+0.0000;-0.0000} to {high:+0.0000;-0.0000}) | ")
                + Invariant($"{runs.Average(run => run.FitSeconds):F1} | {first.Average(run => run.FitSeconds) / runs.Average(run => run.FitSeconds):F1} |"));
        }

        Result[] ResultsOf(Variant variant) => trained[variant].Select(one => one.Result).ToArray();

        double[][] AreasOf(Variant variant) => trained[variant].Select(one => one.Areas).ToArray();
    }
}
