namespace Microsoft.ML.SparseCtr;

/// <summary>
/// Personalized, time-aware chunking of a behavior history: a session boundary is where the user paused long
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
        => CutLargestGaps(timestamps, maximumChunks, chunkOfEvent, new PriorityQueue<int, (long Gap, int Position)>());

    // The smallest of the boundaries kept so far is on top. Pairs compare by gap, then by position, so that of equal gaps the
    // older one is the smaller and goes first.
    private static int CutLargestGaps(ReadOnlySpan<long> timestamps, int maximumChunks, Span<int> chunkOfEvent, PriorityQueue<int, (long Gap, int Position)> boundaries)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(maximumChunks, 1);
        CheckRoom(timestamps, chunkOfEvent);
        int chunks = Math.Min(maximumChunks, timestamps.Length);
        for (int i = 1; i < timestamps.Length; i++)
        {
            long gap = GapBefore(timestamps, i);
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

    /// <summary>
    /// Cuts a history at the gaps that were, when they ended, among the user's K largest so far (<see cref="CausalBoundaries"/>): whether a gap
    /// is a boundary depends on those before it alone, and is never revised. K is what gives about P chunks in a history of full length; beyond
    /// P chunks the oldest are merged into one. (Ours: the paper's own policy is <see cref="LargestGaps"/>.)
    /// </summary>
    /// <param name="timestamps">Unix seconds of the events, oldest first. May be empty.</param>
    /// <param name="maximumChunks">P, at least 1.</param>
    /// <param name="historyLength">The full length of a history, at least 1: longer and shorter ones are cut by the same K.</param>
    /// <param name="chunkOfEvent">Receives, for each event, the number of its chunk; as long as <paramref name="timestamps"/>.</param>
    /// <returns>The number of chunks, at most P.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="maximumChunks"/> or <paramref name="historyLength"/> is below 1.</exception>
    /// <exception cref="ArgumentException">The two spans differ in length, or the timestamps are not in ascending order.</exception>
    public static int Causal(ReadOnlySpan<long> timestamps, int maximumChunks, int historyLength, Span<int> chunkOfEvent)
        => Cut(ChunkingPolicy.Causal, timestamps, maximumChunks, historyLength, chunkOfEvent);

    /// <summary>
    /// Cuts a history into chunks of equal numbers of events, whatever its gaps: of historyLength/P, rounded up, the last one as far as it comes. (What chunks
    /// by time are to be held against.)
    /// </summary>
    /// <param name="timestamps">Unix seconds of the events, oldest first. May be empty.</param>
    /// <param name="maximumChunks">P, at least 1.</param>
    /// <param name="historyLength">The full length of a history, at least 1; a longer one is cut into P chunks of more events.</param>
    /// <param name="chunkOfEvent">Receives, for each event, the number of its chunk; as long as <paramref name="timestamps"/>.</param>
    /// <returns>The number of chunks, at most P.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="maximumChunks"/> or <paramref name="historyLength"/> is below 1.</exception>
    /// <exception cref="ArgumentException">The two spans differ in length, or the timestamps are not in ascending order.</exception>
    public static int EqualCounts(ReadOnlySpan<long> timestamps, int maximumChunks, int historyLength, Span<int> chunkOfEvent)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(maximumChunks, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(historyLength, 1);
        CheckRoom(timestamps, chunkOfEvent);
        int size = EqualCount(maximumChunks, Math.Max(timestamps.Length, historyLength));
        for (int i = 0; i < timestamps.Length; i++)
        {
            if (i > 0)
                GapBefore(timestamps, i);
            chunkOfEvent[i] = i / size;
        }
        return timestamps.IsEmpty ? 0 : (timestamps.Length - 1) / size + 1;
    }

    /// <summary>How many events make a chunk of <see cref="EqualCounts"/>.</summary>
    internal static int EqualCount(int maximumChunks, int historyLength) => (historyLength - 1) / maximumChunks + 1;

    /// <summary>Cuts by a policy, into at most P chunks.</summary>
    internal static int Cut(ChunkingPolicy policy, ReadOnlySpan<long> timestamps, int maximumChunks, int historyLength, Span<int> chunkOfEvent)
    {
        int chunks = Unmerged(policy, timestamps, maximumChunks, historyLength, chunkOfEvent);
        int merged = Math.Max(0, chunks - maximumChunks);
        foreach (ref int chunk in chunkOfEvent)
            chunk = Math.Max(0, chunk - merged);
        return chunks - merged;
    }

    /// <summary>Cuts by a policy, before the oldest chunks of <see cref="Causal"/> are merged.</summary>
    internal static int Unmerged(ChunkingPolicy policy, ReadOnlySpan<long> timestamps, int maximumChunks, int historyLength, Span<int> chunkOfEvent)
        => new Chunker(policy, maximumChunks, historyLength).Cut(timestamps, chunkOfEvent);

    /// <summary>Cuts one history after another by a policy, before the oldest chunks of <see cref="Causal"/> are merged, in memory that is kept.</summary>
    internal sealed class Chunker(ChunkingPolicy policy, int maximumChunks, int historyLength)
    {
        private readonly PriorityQueue<int, (long Gap, int Position)> _largest = new();
        private readonly CausalBoundaries? _causal = policy == ChunkingPolicy.Causal ? new CausalBoundaries(maximumChunks, historyLength) : null;

        /// <inheritdoc cref="TimeChunking.Causal"/>
        public int Cut(ReadOnlySpan<long> timestamps, Span<int> chunkOfEvent)
        {
            switch (policy)
            {
                case ChunkingPolicy.LargestGaps:
                    _largest.Clear();
                    return CutLargestGaps(timestamps, maximumChunks, chunkOfEvent, _largest);
                case ChunkingPolicy.Causal:
                    _causal!.Clear();
                    return CausalUnmerged(timestamps, chunkOfEvent, _causal);
                case ChunkingPolicy.EqualCounts:
                    return EqualCounts(timestamps, maximumChunks, historyLength, chunkOfEvent);
                default:
                    throw new ArgumentOutOfRangeException(nameof(policy), policy, "is no policy");
            }
        }
    }

    private static int CausalUnmerged(ReadOnlySpan<long> timestamps, Span<int> chunkOfEvent, CausalBoundaries boundaries)
    {
        CheckRoom(timestamps, chunkOfEvent);
        int chunk = 0;
        for (int i = 0; i < timestamps.Length; i++)
        {
            if (i > 0 && boundaries.Add(GapBefore(timestamps, i)))
                chunk++;
            chunkOfEvent[i] = chunk;
        }
        return timestamps.IsEmpty ? 0 : chunk + 1;
    }

    private static void CheckRoom(ReadOnlySpan<long> timestamps, Span<int> chunkOfEvent)
    {
        if (chunkOfEvent.Length != timestamps.Length)
            throw new ArgumentException($"Expected room for {timestamps.Length} events, got {chunkOfEvent.Length}.", nameof(chunkOfEvent));
    }

    private static long GapBefore(ReadOnlySpan<long> timestamps, int i)
    {
        long gap = timestamps[i] - timestamps[i - 1];
        return gap >= 0 ? gap
            : throw new ArgumentException($"Timestamps must ascend: event {i} is at {timestamps[i]}, after {timestamps[i - 1]}.", nameof(timestamps));
    }
}

/// <summary>
/// Decides, gap by gap, which are boundaries of chunks: those larger than all but fewer than K of the gaps before them. It is a running
/// quantile, of 1 − K/n after n gaps: the chunks of a history of n gaps are expected to be 1 + K·(1 + ln(n/K)), if its gaps are in no order.
/// </summary>
internal sealed class CausalBoundaries
{
    private readonly PriorityQueue<long, long> _largest = new();
    private readonly int _kept;

    /// <param name="maximumChunks">P, at least 1.</param>
    /// <param name="historyLength">The length at which about P chunks are expected, at least 1.</param>
    public CausalBoundaries(int maximumChunks, int historyLength)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(maximumChunks, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(historyLength, 1);
        _kept = Kept(maximumChunks - 1, historyLength - 1);
    }

    /// <summary>Forgets all gaps.</summary>
    public void Clear() => _largest.Clear();

    /// <summary>Adds the next gap; returns whether it is a boundary.</summary>
    public bool Add(long gap)
    {
        if (_largest.Count < _kept)
            _largest.Enqueue(gap, gap);
        else if (_kept > 0 && gap > _largest.Peek())
            _largest.EnqueueDequeue(gap, gap);
        else
            return false;
        return true;
    }

    /// <summary>The K whose expected number of boundaries is nearest to the one wanted.</summary>
    private static int Kept(int boundaries, int gaps)
    {
        if (boundaries == 0 || boundaries >= gaps)
            return boundaries;
        int low = 1, high = boundaries;
        while (high - low > 1)
        {
            int middle = (low + high) / 2;
            (low, high) = Expected(middle) > boundaries ? (low, middle) : (middle, high);
        }
        return boundaries - Expected(low) < Expected(high) - boundaries ? low : high;

        // K·(1 + 1/(K+1) + … + 1/n), as the i-th gap is among the K largest of i with probability min(1, K/i).
        double Expected(int kept) => kept * (1 + Math.Log((gaps + 0.5) / (kept + 0.5)));
    }
}
