using System.Diagnostics;

namespace Microsoft.ML.AutoML;

/// <summary>Fits a trial's pipeline to the training data and evaluates it on the validation data, in a context of its own.</summary>
internal sealed class SweepablePipelineRunner(MLContext context, SweepablePipeline pipeline, IEvaluateMetricManager metric,
    IDatasetManager data) : ITrialRunner
{
    public async Task<TrialResult> RunAsync(TrialSettings settings, CancellationToken ct)
    {
        using var registration = ct.Register(context.CancelExecution);
        try
        {
            return await Task.Run(() => Run(settings)).ConfigureAwait(false);
        }
        catch (Exception error) when (ct.IsCancellationRequested)
        {
            throw new OperationCanceledException(error.Message, error.InnerException);
        }
    }

    /// <summary>Cancels the context, be the trial's model the best or not.</summary>
    public void Dispose() => context.CancelExecution();

    private TrialResult Run(TrialSettings settings)
    {
        if (data is not ITrainValidateDatasetManager datasets)
            throw new ArgumentException("The runner supports train-validation datasets only.");
        var watch = Stopwatch.StartNew();
        var model = pipeline.BuildFromOption(context, settings.Parameter[AutoMLExperiment.PipelineSearchspaceName])
            .Fit(datasets.LoadTrainDataset(context, settings));
        double value = metric.Evaluate(context, model.Transform(datasets.LoadValidateDataset(context, settings)));
        return new TrialResult
        {
            TrialSettings = settings,
            Model = model,
            Metric = value,
            Loss = metric.IsMaximize ? -value : value,
            DurationInMilliseconds = watch.ElapsedMilliseconds,
        };
    }
}
