using System.Reflection;
using Microsoft.ML.AutoML;
using Microsoft.ML.Data;
using Microsoft.ML.SearchSpace;

namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>Trainers in AutoML's experiments.</summary>
public class SweepTests
{
    private readonly MLContext _mlContext = new(seed: 1);

    private static readonly Type[] s_swept = [typeof(SparseCtrTrainer.Options), typeof(EtaTrainer.Options)];

    public static TheoryData<Type> Swept => new(s_swept);

    private SweepableEstimator Of(Type options, SweepSize size) => options == typeof(EtaTrainer.Options)
        ? _mlContext.Auto().Eta(new EtaTrainer.Options { NumberOfThreads = 1, Seed = 3 }, size)
        : _mlContext.Auto().SparseCtr(new SparseCtrTrainer.Options { NumberOfThreads = 1, Seed = 3 }, size);

    [Theory]
    [MemberData(nameof(Swept))]
    public void Larger_sweeps_search_what_smaller_ones_do_and_more(Type options)
    {
        string[][] sizes = Enum.GetValues<SweepSize>().Select(size => Of(options, size).SearchSpace.Keys.ToArray()).ToArray();
        Assert.Equal(["Dropout", "ItemDropout", "LearningRate"], sizes[0].Order());
        Assert.ProperSuperset(sizes[0].ToHashSet(), sizes[1].ToHashSet());
        Assert.ProperSuperset(sizes[1].ToHashSet(), sizes[2].ToHashSet());
    }

    [Theory]
    [MemberData(nameof(Swept))]
    public void A_search_begins_with_the_defaults(Type options)
    {
        object defaults = Activator.CreateInstance(options)!;
        foreach (PropertyInfo option in options.GetProperties())
        {
            object? first = option.GetCustomAttributes().Select(attribute => (attribute as RangeAttribute)?.Init ?? (attribute as ChoiceAttribute)?.DefaultValue
                ?? (attribute as ChoiceAttribute)?.Candidates[0]).OfType<object>().SingleOrDefault();
            if (first is not null)
                Assert.Equal(Convert.ToDouble(option.GetValue(defaults)), Convert.ToDouble(first));
        }
    }

    [Theory]
    [MemberData(nameof(Swept))]
    public void Every_point_of_a_search_space_is_a_trainer_that_keeps_what_is_not_searched(Type options)
    {
        var random = new Random(1);
        SweepableEstimator sweepable = Of(options, SweepSize.Thorough);
        for (int trial = 0; trial < 200; trial++)
        {
            double[] point = Enumerable.Range(0, sweepable.SearchSpace.FeatureSpaceDim).Select(_ => random.NextDouble()).ToArray();
            var trainer = (CtrTrainer)sweepable.BuildFromOption(_mlContext, sweepable.SearchSpace.SampleFromFeatureSpace(point));
            Assert.Equal((1, 3), (trainer.TrainerOptions.NumberOfThreads, trainer.TrainerOptions.Seed));
        }
    }

    [Fact]
    public void An_experiment_finds_a_trained_model_that_is_saved_as_any_other()
    {
        IDataView train = TinyClicks.View(_mlContext, TinyClicks.Rows(1_000)), validation = TinyClicks.View(_mlContext, TinyClicks.Rows(200, seed: 2));
        SparseCtrTrainer.Options options = TinyClicks.Options();
        options.NumberOfEpochs = 2;
        var rates = new List<double>();
        SweepablePipeline pipeline = TinyClicks.Keys(_mlContext).Append(_mlContext.Auto().SparseCtr(options, SweepSize.Quick));

        TrialResult best = _mlContext.Auto().CreateExperiment()
            .SetDataset(train, validation)
            .SetPipeline(pipeline)
            .SetBinaryClassificationMetric(BinaryClassificationMetric.AreaUnderRocCurve, labelColumn: "Label")
            .SetMaxModelToExplore(3)
            .SetRandomSearchTuner()
            .SetMonitor(new Trials(trial => rates.Add(OptionsOf(trial.Model).LearningRate)))
            .Run();

        Assert.Equal(3, rates.Distinct().Count());
        Assert.Equal(2, OptionsOf(best.Model).NumberOfEpochs);
        Assert.Contains(OptionsOf(best.Model).LearningRate, rates);
        double auc = _mlContext.Ranking.EvaluateCtr(best.Model.Transform(validation)).AreaUnderRocCurve;
        Assert.Equal(best.Metric, auc, 1e-6);
        using var file = new ModelZip(_mlContext, best.Model, train.Schema);
        Assert.Equal(auc, new MLContext().Ranking.EvaluateCtr(file.Load().Transform(validation)).AreaUnderRocCurve);
    }

    [Theory]
    [InlineData(SweepMetric.AreaUnderRocCurve)]
    [InlineData(SweepMetric.GroupAreaUnderRocCurve)]
    [InlineData(SweepMetric.LogLoss)]
    public void A_sweep_that_was_ended_goes_on_where_it_was_and_ends_as_one_that_was_not(SweepMetric metric)
    {
        using TemporaryFolder whole = new(), ended = new();
        (TrialResult expected, int trained) = Run(whole, metric, trials: 4);
        Assert.Equal(4, trained);
        Run(ended, metric, trials: 2);
        // What a process leaves that is killed while it writes.
        File.WriteAllText(Path.Combine(ended.Path, "trial-0003.zip.tmp"), "half of a model");
        File.WriteAllText(Path.Combine(ended.Path, "trial-0003.json.tmp"), "{ half of");

        (TrialResult best, trained) = Run(ended, metric, trials: 4);

        Assert.Equal(2, trained);
        Assert.Equal((expected.Metric, expected.TrialSettings.TrialId), (best.Metric, best.TrialSettings.TrialId));
        Assert.Equal(Scores(expected.Model), Scores(best.Model));
        Assert.Equal(metric == SweepMetric.LogLoss ? best.Metric : -best.Metric, best.Loss);
        Assert.Equal(Enumerable.Range(1, 4).SelectMany(trial => new[] { $"trial-000{trial}.json", $"trial-000{trial}.zip" }),
            Directory.GetFiles(ended.Path, "*.*").Select(file => Path.GetFileName(file)!).Where(file => !file.EndsWith(".tmp")).Order());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Trials_that_fall_behind_are_stopped_where_that_is_wanted(bool areStopped)
    {
        using var folder = new TemporaryFolder();
        Run(folder, SweepMetric.AreaUnderRocCurve, trials: 9, epochs: 3, stopsHopeless: areStopped);
        IReadOnlyList<FinishedTrial> trials = new TrialFolder(folder.Path).Trials;
        Assert.All(trials, trial => Assert.Equal(3, trial.Epochs));
        Assert.All(trials.Take(4), trial => Assert.Equal(3, trial.ValidationAucs.Length));
        Assert.Equal(areStopped, trials.Any(trial => trial.ValidationAucs.Length < 3));
    }

    [Fact]
    public void A_trial_that_was_deleted_leaves_the_others()
    {
        using var folder = new TemporaryFolder();
        Run(folder, SweepMetric.AreaUnderRocCurve, trials: 3);
        File.Delete(Path.Combine(folder.Path, "trial-0002.json"));
        File.Delete(Path.Combine(folder.Path, "trial-0002.zip"));
        (_, int trained) = Run(folder, SweepMetric.AreaUnderRocCurve, trials: 3);
        Assert.Equal(1, trained);
        Assert.Equal(["trial-0001", "trial-0003", "trial-0004"], new TrialFolder(folder.Path).Named.Select(named => named.Name));
    }

    [Fact]
    public void A_trial_that_cannot_be_read_is_named()
    {
        using var folder = new TemporaryFolder();
        Run(folder, SweepMetric.AreaUnderRocCurve, trials: 1);
        string file = Path.Combine(folder.Path, "trial-0001.json");
        File.WriteAllText(file, File.ReadAllText(file)[..40]);
        Assert.Contains("trial-0001.json' is no finished trial", Assert.Throws<FormatException>(() => Run(folder, SweepMetric.AreaUnderRocCurve, trials: 1)).Message);
    }

    [Fact]
    public void A_metric_within_groups_needs_groups()
    {
        using var folder = new TemporaryFolder();
        Assert.Throws<ArgumentOutOfRangeException>("GroupColumnName", () => Run(folder, SweepMetric.GroupAreaUnderRocCurve, trials: 1, groupColumnName: null));
    }

    /// <summary>A small sweep with a folder; returns its best trial and how many it trained.</summary>
    private static (TrialResult Best, int Trained) Run(TemporaryFolder folder, SweepMetric metric, int trials, string? groupColumnName = "Gender", int epochs = 1, bool stopsHopeless = true)
    {
        var mlContext = new MLContext(seed: 1);
        var options = (SparseCtrTrainer.Options)TinyClicks.Options("SparseCtr");
        options.NumberOfEpochs = epochs;
        int trained = 0;
        TrialResult best = mlContext.Auto().CreateExperiment()
            .SetTrials(new SweepTrials
            {
                Pipeline = TinyClicks.Keys(mlContext).Append(mlContext.Auto().CreateSweepableEstimator<Nothing>((context, _) =>
                {
                    trained++;
                    return context.Transforms.CopyColumns("Copy", "Label");
                }, new SearchSpace<Nothing>())).Append(mlContext.Auto().SparseCtr(options, SweepSize.Quick)),
                TrainSet = TinyClicks.View(mlContext, TinyClicks.Rows(300)),
                ValidationSet = TinyClicks.View(mlContext, TinyClicks.Rows(100, seed: 2)),
                Folder = folder.Path,
                Metric = metric,
                GroupColumnName = groupColumnName,
                StopsHopeless = stopsHopeless,
            })
            .SetRandomSearchTuner(seed: 1)
            .SetMonitor(new Trials(_ => { }))
            .SetMaxModelToExplore(trials)
            .Run();
        return (best, trained);
    }

    private sealed class Nothing
    {
        [BooleanChoice]
        public bool IsAnything { get; set; }
    }

    private sealed class TemporaryFolder : IDisposable
    {
        public string Path { get; } = Directory.CreateTempSubdirectory().FullName;

        public void Dispose() => Directory.Delete(Path, recursive: true);
    }

    private float[] Scores(ITransformer model)
        => TinyClicks.Predict(_mlContext, model, TinyClicks.Rows(20, seed: 3)).Select(prediction => prediction.Score).ToArray();

    private static CtrTrainerOptions OptionsOf(ITransformer model) => Parts(model).OfType<CtrTransformer>().Single().Config.Options;

    private static IEnumerable<ITransformer> Parts(ITransformer model) => model is IEnumerable<ITransformer> chain ? chain.SelectMany(Parts) : [model];

    private sealed class Trials(Action<TrialResult> onCompleted) : IMonitor
    {
        public void ReportRunningTrial(TrialSettings settings)
        {
        }

        public void ReportCompletedTrial(TrialResult result) => onCompleted(result);

        public void ReportBestTrial(TrialResult result)
        {
        }

        public void ReportFailTrial(TrialSettings settings, Exception? exception = null) => throw new InvalidOperationException("A trial failed.", exception);
    }
}
