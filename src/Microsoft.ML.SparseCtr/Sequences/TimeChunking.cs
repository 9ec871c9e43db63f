namespace Microsoft.ML.SparseCtr;

/// <summary>
/// Personalized, time-aware chunking of a behavior history: a session boundary is where the user paused longest
/// (SparseCTR, arXiv:2601.17836; docs/model.md gives our reading where the paper's summary is open).
/// </summary>
public static class TimeChunking
{
    /// <summary>
    /// Cuts a history at its largest gaps: with B events and at most P chunks, the min(P, B) − 1 largest of the gaps
    /// g_i = t_{i+1} − t_i are boundaries, of equal gaps the more recent one first. A gap of zero can be a boundary.
    /// </summary>
    /// <param name="timestamps">Unix seconds of the events, oldest first. May be empty.</param>
    /// <param name="maximumChunks">P, at least 1.</param>
    /// <param name="chunkOfEvent">Receives, for each event, the number of boundaries before it; as long as <paramref name="timestamps"/>.</param>
    /// <returns>The number of chunks: min(P, B).</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="maximumChunks"/> is below 1.</exception>
    /// <exception cref="ArgumentException">The two spans differ in length, or the timestamps are not in ascending order.</exception>
    public static int LargestGaps(ReadOnlySpan<long> timestamps, int maximumChunks, Span<int> chunkOfEvent)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(maximumChunks, 1);
        if (chunkOfEvent.Length != timestamps.Length)
            throw new ArgumentException($"Expected room for {timestamps.Length} events, got {chunkOfEvent.Length}.", nameof(chunkOfEvent));

        int chunks = Math.Min(maximumChunks, timestamps.Length);

        // The smallest of the boundaries kept so far is on top. Pairs compare by gap, then by position, so that of equal gaps the
        // older one is the smaller and goes first.
        var boundaries = new PriorityQueue<int, (long Gap, int Position)>(chunks);
        for (int i = 1; i < timestamps.Length; i++)
        {
            long gap = timestamps[i] - timestamps[i - 1];
            if (gap < 0)
                throw new ArgumentException($"Timestamps must ascend: event {i} is at {timestamps[i]}, after {timestamps[i - 1]}.", nameof(timestamps));

            if (boundaries.Count < chunks - 1)
                boundaries.Enqueue(i, (gap, i));
            else if (chunks > 1)
                boundaries.EnqueueDequeue(i, (gap, i));
        }

        chunkOfEvent.Clear();
        foreach ((int firstOfChunk, _) in boundaries.UnorderedItems)
            chunkOfEvent[firstOfChunk] = 1;
        for (int i = 1; i < chunkOfEvent.Length; i++)
            chunkOfEvent[i] += chunkOfEvent[i - 1];
        return chunks;
    }
}
