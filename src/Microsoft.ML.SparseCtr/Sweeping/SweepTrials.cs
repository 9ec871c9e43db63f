using Microsoft.ML.AutoML;

namespace Microsoft.ML.SparseCtr;

/// <summary>By what a sweep chooses among its trials, on the validation rows.</summary>
public enum SweepMetric
{
    /// <summary>The larger, the better.</summary>
    AreaUnderRocCurve,

    /// <summary>Within groups, such as users. The larger, the better.</summary>
    GroupAreaUnderRocCurve,

    /// <summary>The smaller, the better.</summary>
    LogLoss,
}

/// <summary>
/// The trials of a sweep: what is trained on, what is measured, and the folder in which every finished trial is kept before the next one begins, with its model.
/// Give them to an experiment by <see cref="SparseCtrCatalog.SetTrials"/>.
/// </summary>
public sealed record SweepTrials
{
    /// <summary>The pipeline, with sweepable estimators in it.</summary>
    public required SweepablePipeline Pipeline { get; init; }

    /// <summary>The rows that each trial trains on.</summary>
    public required IDataView TrainSet { get; init; }

    /// <summary>The rows that trials are compared on: later ones than those of <see cref="TrainSet"/>.</summary>
    public required IDataView ValidationSet { get; init; }

    /// <summary>
    /// Where finished trials are kept: trial-0001.json and trial-0001.zip and so on. A sweep that was ended in any way goes on with the same folder: a tuner with
    /// the same seed proposes the same trials again, those that are there are not trained again, and the one that was being trained goes on from its latest checkpoint
    /// (<see cref="CtrTrainerOptions.CheckpointSeconds"/>), which is there until the trial is finished. One folder is for one pipeline and one data set.
    /// </summary>
    public required string Folder { get; init; }

    /// <summary>By what trials are compared. Default: the area under the ROC curve.</summary>
    public SweepMetric Metric { get; init; }

    /// <summary>
    /// Whether a trial is stopped, and counts with its best epoch, that is after an epoch worse by the trainer's validation AUC than half of at least four finished trials of as many
    /// epochs were by then. Default: yes.
    /// </summary>
    public bool StopsHopeless { get; init; } = true;

    /// <summary>Told of every step and epoch of the trial that is being trained, on its thread; null for no one.</summary>
    public IProgress<TrainingProgress>? Progress { get; init; }

    /// <summary>The label. Default "Label".</summary>
    public string LabelColumnName { get; init; } = "Label";

    /// <summary>The groups of <see cref="SweepMetric.GroupAreaUnderRocCurve"/>, such as users; null for none.</summary>
    public string? GroupColumnName { get; init; }

    /// <summary>
    /// Writes a report of the folder's finished trials by <see cref="Metric"/>: one HTML file, which needs nothing else to be read, with a table of the trials, parallel
    /// coordinates, learning curves, the importance of parameters and the best configuration as C#. It may be written at any time, during a sweep too.
    /// </summary>
    /// <param name="path">The file; one that is there is replaced.</param>
    /// <exception cref="FormatException">The folder has a trial that cannot be read: the message names the file.</exception>
    /// <exception cref="InvalidOperationException">The folder has no finished trial by this metric.</exception>
    public void WriteReport(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        SweepReport.Write(path, Folder, Metric);
    }

    internal void Check()
    {
        ArgumentNullException.ThrowIfNull(Pipeline);
        ArgumentNullException.ThrowIfNull(TrainSet);
        ArgumentNullException.ThrowIfNull(ValidationSet);
        ArgumentException.ThrowIfNullOrEmpty(Folder);
        ArgumentException.ThrowIfNullOrEmpty(LabelColumnName);
        Requirement require = new OptionCheck(null).Require;
        require.Defined(Metric, nameof(Metric));
        require(Metric != SweepMetric.GroupAreaUnderRocCurve || GroupColumnName is not null, nameof(GroupColumnName), $"a column name, for {Metric}", GroupColumnName);
    }
}
