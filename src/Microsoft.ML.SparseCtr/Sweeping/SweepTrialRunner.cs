using System.Diagnostics;
using System.Text.Json.Nodes;
using Microsoft.ML.AutoML;
using Microsoft.ML.Data;
using Microsoft.ML.SearchSpace;
using Microsoft.ML.SparseCtr.Interop;

namespace Microsoft.ML.SparseCtr;

/// <summary>Runs a trial of a sweep, or finds that it has been run already.</summary>
/// <param name="context">The trial's own context, which AutoML cancels.</param>
/// <param name="trials">What is trained and measured.</param>
/// <param name="folder">The finished trials.</param>
internal sealed class SweepTrialRunner(MLContext context, SweepTrials trials, TrialFolder folder) : ITrialRunner
{
    /// <summary>Where AutoML has the parameters of the pipeline among those of a trial.</summary>
    private const string PipelineKey = "_pipeline_";

    public Task<TrialResult> RunAsync(TrialSettings settings, CancellationToken ct) => Task.Run(() =>
    {
        Parameter parameters = settings.Parameter[PipelineKey];
        JsonObject key = TrialFolder.ToJson(parameters);
        int? seed = MLNetInternals.SeedOf(context);
        (FinishedTrial trial, ITransformer model) = folder.Find(key, seed, trials.Metric) is { } found
            ? (found.Trial, context.Model.Load(found.ModelPath, out _))
            : Train(parameters, key, seed, ct);
        // Here, they are gone too where the process ended after the trial was finished and before they were.
        folder.DeleteCheckpoints(key, seed);
        return new TrialResult
        {
            TrialSettings = settings,
            Metric = trial.Value,
            Loss = trial.Loss,
            DurationInMilliseconds = trial.Milliseconds,
            Model = model,
        };
    }, ct);

    private (FinishedTrial, ITransformer) Train(Parameter parameters, JsonObject key, int? seed, CancellationToken ct)
    {
        var clock = Stopwatch.StartNew();
        var rule = new MedianRule(trials.StopsHopeless ? folder.Trials.Select(other => (other.ValidationAucs, other.Epochs)).ToArray() : []);
        var running = new RunningTrial(rule, trials.Progress, folder.CheckpointsOf(key, seed));
        ITransformer model = Sweep.For(running, () => trials.Pipeline.BuildFromOption(context, parameters)).Fit(trials.TrainSet);
        ct.ThrowIfCancellationRequested();
        CtrMetrics metrics = context.Ranking.EvaluateCtr(model.Transform(trials.ValidationSet), trials.LabelColumnName, groupColumnName: trials.GroupColumnName);
        double value = trials.Metric switch
        {
            SweepMetric.AreaUnderRocCurve => metrics.AreaUnderRocCurve,
            SweepMetric.GroupAreaUnderRocCurve => metrics.GroupAreaUnderRocCurve,
            _ => metrics.LogLoss,
        };
        if (!double.IsFinite(value))
            throw new InvalidOperationException($"{trials.Metric} is {value} on the validation set: it has no row of one of the two labels, or no group that has both.");
        var trial = new FinishedTrial(key, seed, trials.Metric, value, (running.TimeBefore + clock.Elapsed).TotalMilliseconds, rule.Aucs, rule.Epochs,
            JsonNode.Parse(metrics.ToJson())!, TrainerOf(model), rule.HasStopped);
        folder.Add(trial, file => context.Model.Save(model, trials.TrainSet.Schema, file));
        return (trial, model);
    }

    private static string? TrainerOf(ITransformer model) => Parts(model).OfType<CtrTransformer>().LastOrDefault()?.Config.Options.GetType().DeclaringType!.Name;

    private static IEnumerable<ITransformer> Parts(ITransformer model) => model is IEnumerable<ITransformer> chain ? chain.SelectMany(Parts) : [model];

    public void Dispose()
    {
    }
}
