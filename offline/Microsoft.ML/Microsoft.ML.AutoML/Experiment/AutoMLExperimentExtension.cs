using Microsoft.Extensions.DependencyInjection;

namespace Microsoft.ML.AutoML;

public static class AutoMLExperimentExtension
{
    public static AutoMLExperiment SetDataset(this AutoMLExperiment experiment, IDataView train, IDataView validation,
        bool subSamplingTrainDataset = false)
    {
        if (subSamplingTrainDataset)
            throw new NotSupportedException("Offline, the training data cannot be sampled.");
        var manager = new TrainValidateDatasetManager(train, validation);
        return experiment.With(services => services.AddSingleton<IDatasetManager>(manager)
            .AddSingleton<ITrainValidateDatasetManager>(manager));
    }

    public static AutoMLExperiment SetDataset(this AutoMLExperiment experiment, DataOperationsCatalog.TrainTestData trainValidationSplit) =>
        experiment.SetDataset(trainValidationSplit.TrainSet, trainValidationSplit.TestSet);

    /// <summary>Note the default of <paramref name="labelColumn"/>: it is not "Label".</summary>
    public static AutoMLExperiment SetBinaryClassificationMetric(this AutoMLExperiment experiment, BinaryClassificationMetric metric,
        string labelColumn = "label", string predictedColumn = "PredictedLabel")
    {
        var manager = new BinaryMetricManager(metric, labelColumn, predictedColumn);
        return experiment.With(services => services.AddSingleton<IMetricManager>(manager).AddSingleton<IEvaluateMetricManager>(manager));
    }

    /// <summary>The pipeline to sweep; also sets runner, monitor and tuner: others must be set after it.</summary>
    public static AutoMLExperiment SetPipeline(this AutoMLExperiment experiment, SweepablePipeline pipeline) => experiment
        .AddSearchSpace(AutoMLExperiment.PipelineSearchspaceName, pipeline.SearchSpace)
        .With(services => services.AddSingleton(pipeline))
        .SetTrialRunner<SweepablePipelineRunner>()
        .SetMonitor<MLContextMonitor>()
        .SetEciCostFrugalTuner();

    public static AutoMLExperiment SetRandomSearchTuner(this AutoMLExperiment experiment, int? seed = null) =>
        experiment.WithTuner(settings => new RandomSearchTuner(settings.SearchSpace, seed ?? settings.Seed));

    public static AutoMLExperiment SetGridSearchTuner(this AutoMLExperiment experiment, int step = 10) =>
        experiment.WithTuner(settings => new GridSearchTuner(settings.SearchSpace, step));

    public static AutoMLExperiment SetCostFrugalTuner(this AutoMLExperiment experiment) =>
        experiment.WithTuner(settings => new CostFrugalTuner(settings.SearchSpace, settings.Seed));

    public static AutoMLExperiment SetEciCostFrugalTuner(this AutoMLExperiment experiment) => experiment.SetCostFrugalTuner();

    public static AutoMLExperiment SetSmacTuner(this AutoMLExperiment experiment, int numberInitialPopulation = 20,
        int fitModelEveryNTrials = 10, int numberOfTrees = 10, int nMinForSpit = 2, float splitRatio = 0.8f, int localSearchParentCount = 5,
        int numRandomEISearchConfigurations = 5000, double epsilon = 1e-5, int numNeighboursForNumericalParams = 4) =>
        experiment.SetCostFrugalTuner();

    private static AutoMLExperiment WithTuner<TTuner>(this AutoMLExperiment experiment,
        Func<AutoMLExperiment.AutoMLExperimentSettings, TTuner> create) where TTuner : class, ITuner =>
        experiment.SetTuner(services => create(services.GetRequiredService<AutoMLExperiment.AutoMLExperimentSettings>()));
}
