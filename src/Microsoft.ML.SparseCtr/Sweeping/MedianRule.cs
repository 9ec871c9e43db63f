namespace Microsoft.ML.SparseCtr;

/// <summary>
/// Stops a trial whose best validation AUC so far is below the median of what other trials of as many epochs had reached by then (Golovin et al. 2017, Google Vizier).
/// It keeps the trial's validation AUC after each epoch.
/// </summary>
/// <param name="others">The validation AUC of finished trials after each of their epochs, and of how many epochs they were to be; those that were stopped count as far as they came.</param>
internal sealed class MedianRule(IReadOnlyList<(double[] Aucs, int Epochs)> others) 
{
    /// <summary>Trials to compare with, below which none is stopped: the first trials say too little.</summary>
    private const int Fewest = 4;

    private readonly List<double> _aucs = [];

    /// <summary>The validation AUC after each epoch.</summary>
    public double[] Aucs => _aucs.ToArray();

    public int Epochs { get; private set; }

    /// <summary>Whether the trial was stopped.</summary>
    public bool HasStopped { get; private set; }

    /// <summary>Whether to stop after an epoch, with the best weights so far.</summary>
    public bool IsHopeless(TrainingProgress done)
    {
        // Of rows of which none, or all, were clicked there is no AUC.
        if (done.ValidationAuc is not { } auc || double.IsNaN(auc))
            return false;
        _aucs.Add(auc);
        Epochs = done.NumberOfEpochs;
        double[] reached = others.Where(other => other.Epochs == Epochs && other.Aucs.Length >= _aucs.Count)
            .Select(other => other.Aucs.Take(_aucs.Count).Max()).Order().ToArray();
        return HasStopped = reached.Length >= Fewest && done.Epoch < Epochs && _aucs.Max() < Median(reached);
    }

    private static double Median(double[] ascending) => (ascending[(ascending.Length - 1) / 2] + ascending[ascending.Length / 2]) / 2;
}
