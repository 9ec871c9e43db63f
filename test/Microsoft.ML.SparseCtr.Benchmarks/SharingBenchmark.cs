using System.Diagnostics;
using Microsoft.ML.Data;
using SparseCtr.Samples;
using static System.FormattableString;

namespace Microsoft.ML.SparseCtr.Benchmarks;

/// <summary>
/// The demos' trainings by both chunking policies, row by row and with shared histories, over three seeds: AUC on the test rows, the time of
/// training, and how sure the differences to the first are.
/// </summary>
internal static class SharingBenchmark
{
    private static readonly int[] s_seeds = [1, 2, 3];

    private sealed record Variant(string Name, Action<SparseCtrTrainer.Options> Set);

    private static readonly Variant[] s_variants =
    [
        new("largest gaps, row by row", options => RowByRow(options, ChunkingPolicy.LargestGaps)),
        new("causal, row by row", options => RowByRow(options, ChunkingPolicy.Causal)),
        new("largest gaps, shared", options => Shared(options, ChunkingPolicy.LargestGaps)),
        new("causal, shared", options => Shared(options, ChunkingPolicy.Causal)),
    ];

    private static void RowByRow(SparseCtrTrainer.Options options, ChunkingPolicy policy)
        => (options.Chunking, options.RequestsPerHistory) = (policy, 1);

    private static void Shared(SparseCtrTrainer.Options options, ChunkingPolicy policy)
        => (options.Chunking, options.RequestsPerHistory) = (policy, new SparseCtrTrainer.Options().RequestsPerHistory);

    /// <param name="dataFolder">A folder with MovieLens 100K, or null for the generated data alone.</param>
    public static void Run(string? dataFolder)
    {
        Compare(GeneratedData.Create());
        if (dataFolder is not null)
            Compare(MovieLens.Load(dataFolder));
        else
            Console.WriteLine("sharing: --data FOLDER compares on MovieLens 100K too");
    }

    private sealed record Trained(float[] Scores, double Seconds, double Auc);

    private static void Compare(ClickData data)
    {
        Console.WriteLine(Invariant($"sharing: {data.Name}, {data.Rows.Length:N0} rows, test AUC of seeds {string.Join(", ", s_seeds)}; seconds to fit the pipeline"));
        // Seed after seed, so that all variants meet the machine in the same mood.
        var trained = s_variants.ToDictionary(variant => variant, _ => new List<Trained>());
        var (users, labels) = (new List<int>(), new List<bool>());
        foreach (int seed in s_seeds)
        {
            foreach (Variant variant in s_variants)
                trained[variant].Add(Train(data, variant, seed, users, labels));
        }

        var bootstrap = new UserBootstrap(users, labels.ToArray());
        Dictionary<Variant, List<double[]>> areas = trained.ToDictionary(pair => pair.Key, pair => pair.Value.Select(one => bootstrap.Areas(one.Scores)).ToList());
        Console.WriteLine("| training | AUC | mean | difference, 95% by users | seconds | times as fast |");
        Console.WriteLine("| --- | --- | --- | --- | --- | --- |");
        List<Trained> first = trained[s_variants[0]];
        foreach ((Variant variant, List<Trained> runs) in trained)
        {
            (double low, double high) = UserBootstrap.Interval(areas[variant], areas[s_variants[0]]);
            Console.WriteLine($"| {variant.Name} | {string.Join(", ", runs.Select(run => Invariant($"{run.Auc:F4}")))} | "
                + Invariant($"{runs.Average(run => run.Auc):F4} | {runs.Average(run => run.Auc) - first.Average(run => run.Auc):+0.0000;-0.0000} ({low:+0.0000;-0.0000} to {high:+0.0000;-0.0000}) | ")
                + Invariant($"{runs.Average(run => run.Seconds):F1} | {first.Average(run => run.Seconds) / runs.Average(run => run.Seconds):F1} |"));
        }
    }

    private static Trained Train(ClickData data, Variant variant, int seed, List<int> users, List<bool> labels)
    {
        var mlContext = new MLContext(seed);
        IDataView log = mlContext.Data.LoadFromEnumerable(data.Rows);
        TimeSplit split = mlContext.Data.SplitByTime(log, testFraction: Demo.TestFraction);
        SparseCtrTrainer.Options options = Demo.OptionsFor(data, new SparseCtrTrainer.Options());
        variant.Set(options);
        var clock = Stopwatch.StartNew();
        ITransformer model = Demo.Pipeline(mlContext, log, options).Fit(split.TrainSet);
        clock.Stop();

        IDataView scored = model.Transform(split.TestSet);
        float[] scores = scored.GetColumn<float>("Score").ToArray();
        if (users.Count == 0)
        {
            users.AddRange(split.TestSet.GetColumn<int>("User"));
            labels.AddRange(split.TestSet.GetColumn<bool>("Label"));
        }
        return new Trained(scores, clock.Elapsed.TotalSeconds, RocCurve.Area(scores, labels.ToArray()));
    }
}
