using System.Diagnostics;
using Microsoft.ML;
using Microsoft.ML.AutoML;
using Microsoft.ML.SparseCtr;
using static System.FormattableString;

namespace SparseCtr.Samples;

/// <summary>A sweep over the trainer's options: killed at any moment, the same command goes on where it was.</summary>
internal static class SweepDemo
{
    public static void Run(DemoArguments arguments)
    {
        ClickData data = Demo.Load(arguments);
        var mlContext = new MLContext(seed: arguments.Seed);
        IDataView log = mlContext.Data.LoadFromEnumerable(data.Rows);
        TimeSplit split = mlContext.Data.SplitByTime(log, testFraction: Demo.TestFraction, validationFraction: Demo.TestFraction);
        CtrTrainerOptions options = arguments.Apply(Demo.OptionsFor(data, arguments.NewOptions()));
        SweepableEstimator trainer = options switch
        {
            SparseCtrTrainer.Options sparseCtr => mlContext.Auto().SparseCtr(sparseCtr, SweepSize.Quick),
            EtaTrainer.Options eta => mlContext.Auto().Eta(eta, SweepSize.Quick),
            _ => throw new ArgumentException("A sweep is for --trainer SparseCtr or Eta."),
        };

        TrialResult best = mlContext.Auto().CreateExperiment()
            .SetTrials(new SweepTrials
            {
                Pipeline = Demo.Features(mlContext, log, options).Append(trainer),
                TrainSet = split.TrainSet,
                ValidationSet = split.ValidationSet!,
                Folder = arguments.TrialsFolder,
            })
            .SetRandomSearchTuner(seed: arguments.Seed)
            .SetMonitor(new TrialLines())
            .SetMaxModelToExplore(arguments.Trials)
            .RunAsync().GetAwaiter().GetResult();

        mlContext.Model.Save(best.Model, log.Schema, arguments.ModelPath);
        double auc = mlContext.Ranking.EvaluateCtr(best.Model.Transform(split.TestSet)).AreaUnderRocCurve;
        Console.WriteLine(Invariant($"result: best=trial-{best.TrialSettings.TrialId + 1:0000} validation_auc={best.Metric:F4} test_auc={auc:F4} model={arguments.ModelPath}"));
    }

    /// <summary>A line per trial, and none of their models kept.</summary>
    private sealed class TrialLines : IMonitor
    {
        private readonly Stopwatch _clock = new();

        public void ReportRunningTrial(TrialSettings settings) => _clock.Restart();

        public void ReportCompletedTrial(TrialResult result)
            => Console.WriteLine(Invariant($"trial-{result.TrialSettings.TrialId + 1:0000}: validation AUC {result.Metric:F4}, ")
                + Invariant($"trained in {result.DurationInMilliseconds / 1_000:F1} s, ready after {_clock.Elapsed.TotalSeconds:F1} s"));

        public void ReportBestTrial(TrialResult result)
        {
        }

        public void ReportFailTrial(TrialSettings settings, Exception? exception = null)
            => Console.Error.WriteLine($"trial-{settings.TrialId + 1:0000} failed: {exception?.Message}");
    }
}
