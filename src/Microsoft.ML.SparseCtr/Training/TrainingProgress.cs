namespace Microsoft.ML.SparseCtr;

/// <summary>How far a training has come; reported after every optimizer step, and once more after every epoch.</summary>
/// <param name="Epoch">The current epoch, from 1.</param>
/// <param name="NumberOfEpochs">Epochs, if training does not stop early.</param>
/// <param name="Step">Steps done in this epoch.</param>
/// <param name="StepsPerEpoch">Steps in an epoch.</param>
/// <param name="Loss">Mean log loss (natural logarithm) of the epoch's rows so far, under dropout.</param>
/// <param name="RowsPerSecond">Training rows per second in this epoch so far.</param>
/// <param name="EpochCompleted">Whether this is the report at the end of the epoch.</param>
/// <param name="ValidationAuc">AUC on the validation rows, at the end of an epoch, where there are any.</param>
/// <param name="IsBest">Whether the weights after this epoch are the best so far; the best are what training returns.</param>
public sealed record TrainingProgress(
    int Epoch, int NumberOfEpochs, int Step, int StepsPerEpoch, double Loss, double RowsPerSecond,
    bool EpochCompleted = false, double? ValidationAuc = null, bool IsBest = false);
