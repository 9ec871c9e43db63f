namespace Microsoft.ML.SparseCtr;

/// <summary>Knows, of a training among others, when it is not worth being ended.</summary>
internal interface IEpochJudge
{
    /// <summary>Whether to stop after an epoch, with the best weights so far.</summary>
    bool IsHopeless(TrainingProgress done);
}
