using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>The numbers From, From + 1 and so on, up to but not including To.</summary>
internal readonly record struct Interval(int From, int To)
{
    public int Count => To - From;

    public bool Contains(int number) => number >= From && number < To;

    /// <summary>The smallest interval that holds both.</summary>
    public Interval Cover(Interval other) => new(Math.Min(From, other.From), Math.Max(To, other.To));
}

/// <summary>One request of a batch: which of the batch's tokens are its behaviors and its candidates, and which chunks are its own.</summary>
internal readonly record struct RequestPlan(Interval Behaviors, Interval Candidates, Interval Chunks);

/// <summary>What a query sees: whole chunks, for the global and transition branches, and single behaviors, for the local one.</summary>
internal readonly record struct QueryPlan(Interval Chunks, Interval Local);

/// <summary>
/// Who sees whom in a packed batch, as plain arrays that every block of the network shares.
/// <para>
/// Tokens are packed: the behaviors of all requests, request after request, then the candidates of all requests in the same order. The
/// local behaviors of a behavior end with itself; a candidate, which no one else sees, sees itself besides its local behaviors.
/// </para>
/// </summary>
internal sealed class EvoAttentionPlan
{
    private EvoAttentionLayout? _layout;

    private EvoAttentionPlan(SparseCtrConfig config) => Config = config;

    /// <summary>The transition branch's r, RelTemporal's time scale, and the window by which the reference groups its queries.</summary>
    public SparseCtrConfig Config { get; }

    public required RequestPlan[] Requests { get; init; }

    /// <summary>The requests' numbers, those with the most tokens first.</summary>
    public required int[] LargestFirst { get; init; }

    /// <summary>What each token sees.</summary>
    public required QueryPlan[] Queries { get; init; }

    /// <summary>The behaviors of each chunk.</summary>
    public required Interval[] Chunks { get; init; }

    /// <summary>
    /// The transition branch's keys, the last r behaviors of each chunk, are numbered chunk after chunk: here is the first of each chunk, and
    /// at the end how many there are.
    /// </summary>
    public required int[] FirstTransition { get; init; }

    /// <summary>Unix seconds of each token; a chunk's are those of its last behavior.</summary>
    public required long[] Times { get; init; }

    /// <summary>cos and sin of 2π·hour/24, by which the cosine of a difference is a sum of products, and 1 for a token of a weekend.</summary>
    public required float[] HourCosine { get; init; }
    public required float[] HourSine { get; init; }
    public required float[] Weekend { get; init; }

    public int TokenCount => Times.Length;
    public int BehaviorCount => Requests.Length == 0 ? 0 : Requests[^1].Behaviors.To;
    public int CandidateCount => TokenCount - BehaviorCount;

    /// <summary>The behaviors of a chunk that the transition branch sees.</summary>
    public Interval TransitionsOf(int chunk) => new(Chunks[chunk].To - (FirstTransition[chunk + 1] - FirstTransition[chunk]), Chunks[chunk].To);

    /// <summary>
    /// The same as index tensors, for the reference, on the device and in the type of the tokens: made at first use, and anew where the type has
    /// changed or the dispose scope of the earlier use has ended.
    /// </summary>
    public EvoAttentionLayout LayoutFor(Tensor tokens)
    {
        if (_layout is null || _layout.InverseChunkLength.IsInvalid || _layout.InverseChunkLength.dtype != tokens.dtype)
            _layout = EvoAttentionLayout.Create(this, tokens.device, tokens.dtype);
        return _layout;
    }

    /// <summary>
    /// Plans a batch: histories are cut at their largest gaps; behaviors see the chunks complete before their own and the last w behaviors up to
    /// themselves, candidates all chunks and the last w behaviors.
    /// </summary>
    /// <param name="histories">Unix seconds of the behaviors of each request, ascending.</param>
    /// <param name="candidateTimes">Unix seconds of the candidates of each request.</param>
    /// <param name="config">P, r, w, the time scale and the UTC offset.</param>
    public static EvoAttentionPlan Create(IReadOnlyList<long[]> histories, IReadOnlyList<long[]> candidateTimes, SparseCtrConfig config)
    {
        int behaviorCount = histories.Sum(times => times.Length), tokenCount = behaviorCount + candidateTimes.Sum(times => times.Length);
        var requests = new RequestPlan[histories.Count];
        var queries = new QueryPlan[tokenCount];
        var chunks = new List<Interval>();
        int behavior = 0, candidate = behaviorCount;
        for (int request = 0; request < requests.Length; request++)
        {
            Interval behaviors = new(behavior, behavior + histories[request].Length);
            Interval candidates = new(candidate, candidate + candidateTimes[request].Length);
            int firstChunk = chunks.Count;
            AddChunks(histories[request], behaviors, config.NumberOfChunks, chunks);
            requests[request] = new RequestPlan(behaviors, candidates, new(firstChunk, chunks.Count));

            for (int chunk = firstChunk; chunk < chunks.Count; chunk++)
            {
                for (int token = chunks[chunk].From; token < chunks[chunk].To; token++)
                    queries[token] = new QueryPlan(new(firstChunk, chunk), new(Math.Max(behaviors.From, token + 1 - config.LocalWindow), token + 1));
            }
            queries.AsSpan(candidates.From, candidates.Count)
                .Fill(new QueryPlan(new(firstChunk, chunks.Count), new(Math.Max(behaviors.From, behaviors.To - config.LocalWindow), behaviors.To)));
            (behavior, candidate) = (behaviors.To, candidates.To);
        }

        long[] times = histories.Concat(candidateTimes).SelectMany(values => values).ToArray();
        var (cosine, sine, weekend) = (new float[tokenCount], new float[tokenCount], new float[tokenCount]);
        for (int token = 0; token < tokenCount; token++)
        {
            LocalTime local = LocalTime.Of(times[token], config);
            (sine[token], cosine[token]) = MathF.SinCos((float)local.DayAngle);
            weekend[token] = local.IsWeekend ? 1 : 0;
        }
        return new EvoAttentionPlan(config)
        {
            Requests = requests,
            LargestFirst = Enumerable.Range(0, requests.Length)
                .OrderByDescending(request => requests[request].Behaviors.Count + requests[request].Candidates.Count).ToArray(),
            Queries = queries,
            Chunks = chunks.ToArray(),
            FirstTransition = FirstTransitionOf(chunks, config.TransitionBehaviors),
            Times = times,
            HourCosine = cosine,
            HourSine = sine,
            Weekend = weekend,
        };
    }

    private static void AddChunks(long[] times, Interval behaviors, int maximumChunks, List<Interval> chunks)
    {
        var chunkOfEvent = new int[times.Length];
        TimeChunking.LargestGaps(times, maximumChunks, chunkOfEvent);
        int start = 0;
        for (int i = 1; i <= times.Length; i++)
        {
            if (i == times.Length || chunkOfEvent[i] != chunkOfEvent[i - 1])
            {
                chunks.Add(new(behaviors.From + start, behaviors.From + i));
                start = i;
            }
        }
    }

    private static int[] FirstTransitionOf(List<Interval> chunks, int transitionBehaviors)
    {
        var first = new int[chunks.Count + 1];
        for (int chunk = 0; chunk < chunks.Count; chunk++)
            first[chunk + 1] = first[chunk] + Math.Min(transitionBehaviors, chunks[chunk].Count);
        return first;
    }
}
