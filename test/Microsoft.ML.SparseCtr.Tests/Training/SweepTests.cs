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
