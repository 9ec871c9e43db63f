using Microsoft.ML.AutoML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.SearchSpace;

namespace Microsoft.ML.Tests;

public class AutoMLTests
{
    private class Row
    {
        public bool Label { get; set; }
        public float Number { get; set; }
        public float Score { get; set; }
        public bool PredictedLabel { get; set; }
    }

    private class Options
    {
        [Range(0f, 1f, 0.5f)] public float Threshold { get; set; }
    }

    /// <summary>With a threshold below 0.5 the score is the number, which tells the classes apart; otherwise one that does not.</summary>
    private class Trainer(MLContext context, Options options) : IEstimator<ITransformer>
    {
        public Options Options => options;
        public Action OnFit { get; init; } = () => { };

        public ITransformer Fit(IDataView input)
        {
            OnFit();
            return Inner.Fit(input);
        }

        private IEstimator<ITransformer> Inner =>
            context.Transforms.CopyColumns("Score", options.Threshold < 0.5f ? "Number" : "Score");

        public SchemaShape GetOutputSchema(SchemaShape inputSchema) => Inner.GetOutputSchema(inputSchema);
    }

    private sealed class Monitor : IMonitor
    {
        public List<string> Events { get; } = [];
        public List<TrialSettings> Running { get; } = [];

        public void ReportRunningTrial(TrialSettings settings)
        {
            Running.Add(settings);
            Events.Add($"{settings.TrialId} running");
        }

        public void ReportCompletedTrial(TrialResult result) => Events.Add($"{result.TrialSettings.TrialId} completed");

        public void ReportBestTrial(TrialResult result) => Events.Add($"{result.TrialSettings.TrialId} best");

        public void ReportFailTrial(TrialSettings settings, Exception exception = null) => Events.Add($"{settings.TrialId} failed");
    }

    private sealed class Runner(Func<TrialSettings, CancellationToken, double> getLoss) : ITrialRunner
    {
        public Task<TrialResult> RunAsync(TrialSettings settings, CancellationToken ct)
        {
            double loss = getLoss(settings, ct);
            return Task.FromResult(new TrialResult { TrialSettings = settings, Loss = loss, Metric = -loss });
        }

        public void Dispose()
        {
        }
    }

    private readonly MLContext _ml = new(seed: 5) { GpuDeviceId = 1 };
    private readonly Monitor _monitor = new();
    private readonly List<MLContext> _contexts = [];

    private IDataView Data => _ml.Data.LoadFromEnumerable(Enumerable.Range(0, 20).Select(i =>
        new Row { Label = i >= 10, Number = i - 9.5f, Score = i % 2 == 0 ? 1 : -1 }).ToList());

    private SweepableEstimator Sweepable(Action onFit = null) => _ml.Auto().CreateSweepableEstimator((context, options) =>
    {
        _contexts.Add(context);
        return new Trainer(context, options) { OnFit = onFit ?? (() => { }) };
    }, new SearchSpace<Options>());

    private AutoMLExperiment Experiment(SweepablePipeline pipeline) => _ml.Auto().CreateExperiment()
        .SetPipeline(pipeline).SetDataset(Data, Data)
        .SetBinaryClassificationMetric(BinaryClassificationMetric.AreaUnderRocCurve, "Label")
        .SetMonitor(_monitor);

    private SweepablePipeline Pipeline(Action onFit = null) => _ml.Transforms.CopyColumns("Copy", "Number").Append(Sweepable(onFit));

    private AutoMLExperiment Experiment(Func<TrialSettings, CancellationToken, double> getLoss) =>
        Experiment(Pipeline()).SetTrialRunner(new Runner(getLoss)).SetRandomSearchTuner();

    [Fact]
    public void APipelineIsBuiltAsTheParameterSays()
    {
        var pipeline = _ml.Transforms.CopyColumns("Copy", "Number").Append(Sweepable(), Sweepable());
        Assert.Equal(["e0", "e1", "e2"], pipeline.Estimators.Keys);
        Assert.Equal(["_SCHEMA_", "e0", "e1", "e2"], pipeline.SearchSpace.Keys.Order(StringComparer.Ordinal));
        var parameter = pipeline.SearchSpace.SampleFromFeatureSpace(pipeline.SearchSpace.Default);
        Assert.Equal("e0 * e1", parameter["_SCHEMA_"].AsType<string>());
        parameter["_SCHEMA_"] = Parameter.FromString("e0 * e2");
        parameter["e2"]["Threshold"] = Parameter.FromFloat(0.25f);
        var trainer = Assert.IsType<Trainer>(pipeline.BuildFromOption(_ml, parameter).LastEstimator);
        Assert.Equal(0.25f, trainer.Options.Threshold);
        Assert.Equal("e0 * e2", pipeline.CurrentParameter["_SCHEMA_"].AsType<string>());
        Assert.Equal(["e0", "e2"], pipeline.BuildSweepableEstimatorPipeline("e0 * e2").Estimators.Keys);
    }

    [Fact]
    public void PipelinesAreAppendedWithAllTheirChains()
    {
        var either = Sweepable().Append(Sweepable(), Sweepable());
        var pipeline = _ml.Transforms.CopyColumns("Copy", "Number").Append(either).Append(_ml.Transforms.CopyColumns("C", "Copy"));
        var schema = Assert.IsType<SearchSpace.Option.ChoiceOption>(pipeline.SearchSpace["_SCHEMA_"]);
        Assert.Equal(["e0 * e1 * e2 * e4", "e0 * e1 * e3 * e4"], schema.Choices.Select(choice => choice.AsType<string>()));
    }

    [Theory]
    [InlineData("random")]
    [InlineData("grid")]
    [InlineData("cost frugal")]
    [InlineData("default")]
    public void TheBestTrialIsFound(string tuner)
    {
        var experiment = Experiment(Pipeline()).SetMaxModelToExplore(20);
        _ = tuner switch
        {
            "random" => experiment.SetRandomSearchTuner(),
            "grid" => experiment.SetGridSearchTuner(),
            "cost frugal" => experiment.SetCostFrugalTuner(),
            _ => experiment,
        };
        var best = experiment.Run();
        Assert.Equal((1, -1), (best.Metric, best.Loss));
        Assert.True(best.TrialSettings.Parameter["_pipeline_"]["e1"]["Threshold"].AsType<float>() < 0.5f);
        Assert.Equal(1, _ml.BinaryClassification.EvaluateNonCalibrated(best.Model.Transform(Data)).AreaUnderRocCurve);
        Assert.Equal(20, _monitor.Running.Count);
    }

    [Fact]
    public void MonitorsAreToldInOrder()
    {
        double[] losses = [2, 3, 1];
        Experiment((settings, _) => losses[settings.TrialId]).SetMaxModelToExplore(3).Run();
        Assert.Equal(["0 running", "0 completed", "0 best", "1 running", "1 completed", "2 running", "2 completed", "2 best"],
            _monitor.Events);
    }

    [Fact]
    public async Task AFailingFirstTrialEndsTheExperiment()
    {
        var experiment = Experiment((_, _) => throw new InvalidDataException());
        await Assert.ThrowsAsync<InvalidDataException>(() => experiment.RunAsync());
        Assert.Equal(["0 running", "0 failed"], _monitor.Events);
        Assert.IsType<InvalidDataException>(Assert.Throws<AggregateException>(experiment.Run).InnerException);
    }

    [Fact]
    public async Task LaterFailingTrialsAreSkipped()
    {
        var best = await Experiment((settings, _) => settings.TrialId == 1 ? throw new InvalidDataException() : -settings.TrialId)
            .SetMaxModelToExplore(3).RunAsync();
        Assert.Equal(2, best.TrialSettings.TrialId);
        Assert.Equal(["1 running", "1 failed", "2 running"], _monitor.Events[3..6]);
    }

    [Fact]
    public async Task CancellationEndsTheRunningTrialAndReturnsTheBestSoFar()
    {
        using var source = new CancellationTokenSource();
        int fits = 0;
        var best = await Experiment(Pipeline(() =>
        {
            if (++fits == 3)
            {
                source.Cancel();
                ((IHostEnvironment)_contexts[^1]).CheckAlive();
            }
        })).RunAsync(source.Token);
        Assert.True(best.TrialSettings.TrialId < 2);
        Assert.Equal(3, fits);
    }

    [Fact]
    public async Task TheTimeLimitReturnsTheBestSoFar()
    {
        var best = await Experiment((settings, ct) =>
        {
            if (settings.TrialId > 0)
                ct.WaitHandle.WaitOne();
            ct.ThrowIfCancellationRequested();
            return 1;
        }).SetTrainingTimeInSeconds(1).RunAsync();
        Assert.Equal(0, best.TrialSettings.TrialId);
    }

    [Fact]
    public async Task WithoutACompletedTrialThereIsATimeout()
    {
        await Assert.ThrowsAsync<TimeoutException>(() => Experiment((_, _) => 1).RunAsync(new CancellationToken(canceled: true)));
        await Assert.ThrowsAsync<TimeoutException>(() => Experiment((_, _) => double.NaN).SetMaxModelToExplore(2).RunAsync());
    }

    [Fact]
    public void EachTrialHasItsOwnContextLikeTheParents()
    {
        var messages = new List<LoggingEventArgs>();
        _ml.Log += (_, message) => messages.Add(message);
        Experiment(Pipeline(() => ((IChannelProvider)_contexts[^1]).Start("Fit").Info(MessageSensitivity.None, "hello")))
            .SetMaxModelToExplore(3).Run();
        Assert.Equal(3, _contexts.Distinct().Count());
        Assert.DoesNotContain(_ml, _contexts);
        Assert.All(_contexts.Cast<IHostEnvironmentInternal>(), context =>
            Assert.Equal((5, 1, false), (context.Seed, context.GpuDeviceId, context.FallbackToCpu)));
        Assert.All(_contexts, context => Assert.Throws<OperationCanceledException>(((IHostEnvironment)context).CheckAlive));
        Assert.Equal(3, messages.Count(message =>
            message.Source == "AutoMLExperiment-ChildContext" && message.RawMessage.EndsWith("Kind=Info] hello")));
    }

    [Fact]
    public void TheDefaultLabelColumnIsNotCalledLabel()
    {
        var error = Assert.Throws<AggregateException>(() => Experiment(Pipeline())
            .SetBinaryClassificationMetric(BinaryClassificationMetric.Accuracy).Run());
        Assert.Contains("Could not find label column 'label'", error.Message);
    }

    private sealed class OwnRunner(AutoMLExperiment.AutoMLExperimentSettings settings, MLContext context, SweepablePipeline pipeline)
        : ITrialRunner
    {
        public Task<TrialResult> RunAsync(TrialSettings trial, CancellationToken ct)
        {
            var chain = pipeline.BuildFromOption(context, trial.Parameter["_pipeline_"]);
            double loss = Math.Abs(((Trainer)chain.LastEstimator).Options.Threshold - 0.7f);
            return Task.FromResult(new TrialResult { TrialSettings = trial, Loss = settings.Seed == 5 ? loss : 1 });
        }

        public void Dispose()
        {
        }
    }

    [Fact]
    public void RunnersAreGivenTheServicesTheyDemand()
    {
        var best = Experiment(Pipeline()).SetTrialRunner<OwnRunner>().SetMaxModelToExplore(40).Run();
        Assert.Equal(0.5f, _monitor.Running[0].Parameter["_pipeline_"]["e1"]["Threshold"].AsType<float>());
        Assert.True(best.Loss < 0.05);
    }

    [Fact]
    public void AGridHasEveryPoint()
    {
        Experiment((_, _) => 0).SetGridSearchTuner(step: 4).SetMaxModelToExplore(5).Run();
        Assert.Equal([0, 0.25f, 0.5f, 0.75f, 0], _monitor.Running.Select(trial =>
            trial.Parameter["_pipeline_"]["e1"]["Threshold"].AsType<float>()));
    }
}
