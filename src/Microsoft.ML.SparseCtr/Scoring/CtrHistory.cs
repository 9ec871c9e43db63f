namespace Microsoft.ML.SparseCtr;

/// <summary>
/// A user's history, as <see cref="CtrScorer"/> takes it: the behaviors' times and keys. Arrays are kept, not copied, and not to be changed while they are
/// scored.
/// </summary>
public sealed class CtrHistory
{
    /// <param name="timestamps">Unix seconds of the behaviors, oldest first; 0 or more. May be empty.</param>
    /// <param name="keys">
    /// For each column of <see cref="CtrScorer.HistoryColumnNames"/>, in their order, the keys of the behaviors: 1 to the number of keys in training, or 0 for a missing or
    /// unseen one. Each is as long as <paramref name="timestamps"/>.
    /// </param>
    /// <exception cref="ArgumentNullException">An argument, or one of the arrays of keys, is null.</exception>
    public CtrHistory(long[] timestamps, params int[][] keys)
    {
        ArgumentNullException.ThrowIfNull(timestamps);
        ArgumentNullException.ThrowIfNull(keys);
        foreach (int[] column in keys)
            ArgumentNullException.ThrowIfNull(column, nameof(keys));
        (Timestamps, Keys) = (timestamps, keys);
    }

    /// <summary>Unix seconds of the behaviors, oldest first.</summary>
    public long[] Timestamps { get; }

    /// <summary>For each column of <see cref="CtrScorer.HistoryColumnNames"/>, the keys of the behaviors.</summary>
    public int[][] Keys { get; }
}
