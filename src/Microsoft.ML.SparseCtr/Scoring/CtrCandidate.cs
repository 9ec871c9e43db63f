namespace Microsoft.ML.SparseCtr;

/// <summary>
/// What a row says of a candidate, the user and the moment, as <see cref="CtrScorer"/> takes it. A key is 1 to the number of keys in training, or 0 for a
/// missing or unseen one. Arrays are kept, not copied, and not to be changed while they are scored.
/// </summary>
public sealed class CtrCandidate
{
    /// <summary>For each column of <see cref="CtrScorer.ItemColumnNames"/>, in their order, the candidate's key: its item first.</summary>
    public required int[] ItemKeys { get; init; }

    /// <summary>
    /// For each column of <see cref="CtrScorer.CandidateColumnNames"/>, in their order, the candidate's keys: one or several, or none, which counts as a
    /// missing one. Default: no columns.
    /// </summary>
    public int[][] CandidateKeys { get; init; } = [];

    /// <summary>
    /// For each column of <see cref="CtrScorer.UserColumnNames"/>, in their order, the user's keys: one or several, or none, which counts as a missing one.
    /// Default: no columns.
    /// </summary>
    public int[][] UserKeys { get; init; } = [];

    /// <summary>The numbers of the columns of <see cref="CtrScorer.NumericColumnNames"/>, one after the other, as they are in rows: not standardized. Default: none.</summary>
    public float[] Numbers { get; init; } = [];

    /// <summary>Unix seconds of the moment that the candidate is scored for; not before the history's last event.</summary>
    public required long Timestamp { get; init; }
}
