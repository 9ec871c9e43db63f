using Microsoft.ML.Data;

namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>One small model that the tests of a class share.</summary>
public sealed class TrainedModel
{
    internal MLContext MLContext { get; } = new(seed: 1);

    internal TinyClicks.Row[] TestRows { get; } = TinyClicks.Rows(300, seed: 2);

    internal TransformerChain<CtrTransformer> Model { get; }

    internal List<string> Log { get; } = [];

    internal List<TrainingProgress> Progress { get; } = [];

    public TrainedModel()
    {
        MLContext.Log += (_, message) => Log.Add($"{message.Source}: {message.RawMessage}");
        Model = TinyClicks.Keys(MLContext)
            .Append(MLContext.Ranking.Trainers.SparseCtr(TinyClicks.Options(), new DirectProgress(Progress.Add)))
            .Fit(TinyClicks.View(MLContext, TinyClicks.Rows(12_000)));
    }

    internal IDataView TestView => TinyClicks.View(MLContext, TestRows);
}

/// <summary>Tells at once, on the training thread.</summary>
internal sealed class DirectProgress(Action<TrainingProgress> report) : IProgress<TrainingProgress>
{
    public void Report(TrainingProgress value) => report(value);
}
