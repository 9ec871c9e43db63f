using System.Diagnostics;
using Microsoft.ML;
using Microsoft.ML.AutoML;
using Microsoft.ML.SearchSpace;
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
        CtrTrainerOptions options = Demo.OptionsFor(data, arguments);
        SweepableEstimator trainer = options switch
        {
            SparseCtrTrainer.Options sparseCtr => mlContext.Auto().SparseCtr(sparseCtr, SweepSize.Quick),
            EtaTrainer.Options eta => mlContext.Auto().Eta(eta, SweepSize.Quick),
            _ => throw new ArgumentException("A sweep is for --trainer SparseCtr or Eta."),
        };

        IMonitor monitor = Console.IsOutputRedirected ? new TrialLines() : new TrialTable();
        var trials = new SweepTrials
        {
            Pipeline = Demo.Features(mlContext, log, options).Append(trainer),
            TrainSet = split.TrainSet,
            ValidationSet = split.ValidationSet!,
            Folder = arguments.TrialsFolder,
            Progress = (IProgress<TrainingProgress>)monitor,
        };
        TrialResult best = mlContext.Auto().CreateExperiment()
            .SetTrials(trials)
            .SetRandomSearchTuner(seed: arguments.Seed)
            .SetMonitor(monitor)
            .SetMaxModelToExplore(arguments.Trials)
            .RunAsync().GetAwaiter().GetResult();

        string report = Path.Combine(arguments.TrialsFolder, "report.html");
        trials.WriteReport(report);
        Console.WriteLine($"report: {Path.GetFullPath(report)}");
        mlContext.Model.Save(best.Model, log.Schema, arguments.ModelPath);
        double auc = mlContext.Ranking.EvaluateCtr(best.Model.Transform(split.TestSet)).AreaUnderRocCurve;
        Console.WriteLine(Invariant($"result: best={NameOf(best.TrialSettings)} validation_auc={best.Metric:F4} test_auc={auc:F4} model={arguments.ModelPath}"));
    }

    /// <summary>A line per trial, and one more for a trial that goes on where it was interrupted; none of their models kept.</summary>
    private sealed class TrialLines : IMonitor, IProgress<TrainingProgress>
    {
        private readonly Stopwatch _clock = new();
        private TrialSettings? _begun;

        public void ReportRunningTrial(TrialSettings settings)
        {
            _clock.Restart();
            _begun = settings;
        }

        public void Report(TrainingProgress value)
        {
            if (_begun is not null && (value.Epoch, value.Step) != (1, 1))
                Console.WriteLine($"{NameOf(_begun)}: goes on in epoch {value.Epoch} of {value.NumberOfEpochs}, step {value.Step} of {value.StepsPerEpoch}");
            _begun = null;
        }

        public void ReportCompletedTrial(TrialResult result)
            => Console.WriteLine(Invariant($"{NameOf(result.TrialSettings)}: validation AUC {result.Metric:F4}, ")
                + Invariant($"trained in {result.DurationInMilliseconds / 1_000:F1} s, ready after {_clock.Elapsed.TotalSeconds:F1} s"));

        public void ReportBestTrial(TrialResult result)
        {
        }

        public void ReportFailTrial(TrialSettings settings, Exception? exception = null)
            => Console.Error.WriteLine($"{NameOf(settings)} failed: {exception?.Message}");
    }

    /// <summary>For a terminal: the best trial, the latest ones and the one that is being trained, drawn again in place. Keeps no model.</summary>
    private sealed class TrialTable : IMonitor, IProgress<TrainingProgress>
    {
        private const int Latest = 10;

        private static readonly TimeSpan s_betweenDrawings = TimeSpan.FromMilliseconds(250);

        private readonly List<(double Auc, string Line)> _trials = [];
        private readonly Stopwatch _sinceDrawn = Stopwatch.StartNew();
        private TrialSettings? _running;
        private int _drawn;

        public void ReportRunningTrial(TrialSettings settings)
        {
            _running = settings;
            Draw(Running("training"));
        }

        public void Report(TrainingProgress value)
        {
            if (value.EpochCompleted || _sinceDrawn.Elapsed > s_betweenDrawings)
                Draw(Running(Invariant($"epoch {value.Epoch}/{value.NumberOfEpochs} {(double)value.Step / value.StepsPerEpoch,4:P0}")));
        }

        private string Running(string state) => $"{NameOf(_running!),-12}{state,-18}  {ParametersOf(_running!)}";

        public void ReportCompletedTrial(TrialResult result)
        {
            _trials.Add((result.Metric, Invariant($"{NameOf(result.TrialSettings),-12}{result.Metric,-8:F4}{result.DurationInMilliseconds / 1_000,8:F1} s  {ParametersOf(result.TrialSettings)}")));
            Draw("");
        }

        public void ReportBestTrial(TrialResult result)
        {
        }

        public void ReportFailTrial(TrialSettings settings, Exception? exception = null)
        {
            _trials.Add((double.NegativeInfinity, $"{NameOf(settings),-12}failed: {exception?.Message.ReplaceLineEndings(" ")}"));
            Draw("");
        }

        private void Draw(string running)
        {
            _sinceDrawn.Restart();
            string[] lines =
            [
                $"{"trial",-12}{"AUC",-8}{"time",10}",
                .. _trials.Count > Latest ? ["..."] : Array.Empty<string>(),
                .. _trials.TakeLast(Latest).Select(trial => trial.Line),
                running,
                _trials.Count > 0 ? $"best: {_trials.MaxBy(trial => trial.Auc).Line}" : "",
            ];
            // Up to where it began, and clear what is there. A line that wrapped would take more than one.
            int width = Math.Max(20, Console.WindowWidth - 1);
            Console.Write((_drawn > 0 ? $"\e[{_drawn}A\e[J" : "") + string.Concat(lines.Select(line => line[..Math.Min(line.Length, width)] + Environment.NewLine)));
            _drawn = lines.Length;
        }
    }

    private static string NameOf(TrialSettings settings) => Invariant($"trial-{settings.TrialId + 1:0000}");

    /// <summary>What a trial tries: the numbers under each estimator's name.</summary>
    internal static string ParametersOf(TrialSettings settings)
        => string.Join("  ", Nested(settings.Parameter["_pipeline_"]).Where(estimator => estimator.Value.ParameterType == ParameterType.Object)
            .SelectMany(estimator => Nested(estimator.Value)).Select(option => Invariant($"{option.Key} {option.Value.AsType<double>():G3}")));

    private static IEnumerable<KeyValuePair<string, Parameter>> Nested(Parameter parameter) => parameter;
}
