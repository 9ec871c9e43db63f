using Microsoft.ML.AutoML;
using Microsoft.ML.Data;
using Microsoft.ML.SearchSpace;
using SparseCtr.Samples;
using static System.FormattableString;

namespace Microsoft.ML.SparseCtr.Benchmarks;

/// <summary>What a quick sweep is worth: the best of twenty trials on generated clicks against the options that it began with, each trained anew with three seeds and tested on rows that neither has seen.</summary>
internal static class SweepBenchmark
{
    private const int Trials = 20;
    private static readonly int[] s_seeds = [1, 2, 3];

    public static void Run()
    {
        ClickData data = GeneratedData.Create();
        var mlContext = new MLContext(seed: 1);
        IDataView log = mlContext.Data.LoadFromEnumerable(data.Rows);
        TimeSplit split = mlContext.Data.SplitByTime(log, testFraction: Demo.TestFraction, validationFraction: Demo.TestFraction);
        var bootstrap = new UserBootstrap(split.TestSet.GetColumn<int>("User").ToArray(), split.TestSet.GetColumn<bool>("Label").ToArray());
        SparseCtrTrainer.Options defaults = Demo.OptionsFor(data, new SparseCtrTrainer.Options());
        DirectoryInfo folder = Directory.CreateTempSubdirectory("sweep-");
        try
        {
            var trials = new SweepTrials
            {
                Pipeline = Demo.Features(mlContext, log, defaults).Append(mlContext.Auto().SparseCtr(defaults, SweepSize.Quick)),
                TrainSet = split.TrainSet,
                ValidationSet = split.ValidationSet!,
                Folder = folder.FullName,
            };
            TrialResult best = mlContext.Auto().CreateExperiment().SetTrials(trials).SetRandomSearchTuner(seed: 1).SetMaxModelToExplore(Trials)
                .RunAsync().GetAwaiter().GetResult();
            Parameter parameters = best.TrialSettings.Parameter["_pipeline_"];
            Console.WriteLine(Invariant($"sweep: {data.Name}, {Trials} quick trials; the best one's validation AUC is {best.Metric:F4}, with {SweepDemo.ParametersOf(best.TrialSettings)}"));

            List<double[]> ofBest = [], ofDefaults = [];
            List<double> aucs = [], others = [];
            foreach (int seed in s_seeds)
            {
                var context = new MLContext(seed);
                Test(trials.Pipeline.BuildFromOption(context, parameters), ofBest, aucs);
                Test(Demo.Pipeline(context, log, defaults), ofDefaults, others);
            }
            (double low, double high) = UserBootstrap.Interval(ofBest, ofDefaults);
            Console.WriteLine($"  test AUC of the defaults      {Text(others)}");
            Console.WriteLine($"  test AUC of the best trial's  {Text(aucs)}");
            Console.WriteLine(Invariant($"  difference {aucs.Average() - others.Average():+0.0000;-0.0000} ({low:+0.0000;-0.0000} to {high:+0.0000;-0.0000}, 95% by users and seeds)"));
        }
        finally
        {
            folder.Delete(recursive: true);
        }

        void Test(IEstimator<ITransformer> pipeline, List<double[]> areas, List<double> aucs)
        {
            float[] scores = pipeline.Fit(split.TrainSet).Transform(split.TestSet).GetColumn<float>("Score").ToArray();
            areas.Add(bootstrap.Areas(scores));
            aucs.Add(RocCurve.Area(scores, split.TestSet.GetColumn<bool>("Label").ToArray()));
        }
    }

    private static string Text(List<double> aucs) => Invariant($"{aucs.Average():F4} ({string.Join(", ", aucs.Select(auc => Invariant($"{auc:F4}")))})");
}
