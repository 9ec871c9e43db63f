namespace Microsoft.ML.SparseCtr;

/// <summary>The trial of a sweep that is being trained, as its trainers know it.</summary>
/// <param name="rule">Asked after each epoch whether to go on.</param>
/// <param name="progress">Told of every step and epoch; null for no one.</param>
/// <param name="checkpoints">Where its checkpoints are: how their names begin.</param>
internal sealed class RunningTrial(MedianRule rule, IProgress<TrainingProgress>? progress, string checkpoints)
{
    private int _trainers;

    public MedianRule Rule => rule;

    public IProgress<TrainingProgress>? Progress => progress;

    /// <summary>How long its trainings took before they were interrupted.</summary>
    public TimeSpan TimeBefore { get; set; }

    /// <summary>Where the next of its trainers has its checkpoint: in a chain, there may be several.</summary>
    public string NextCheckpointPath() => FormattableString.Invariant($"{checkpoints}{++_trainers}.checkpoint");
}
