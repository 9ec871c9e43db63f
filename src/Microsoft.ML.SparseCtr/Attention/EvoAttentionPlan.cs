using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>One request of a batch: which of the batch's tokens are its behaviors and its candidates, and which chunks are its own.</summary>
internal readonly record struct RequestPlan(Interval Behaviors, Interval Candidates, Interval Chunks);

/// <summary>What a query sees: chunks, for the global and transition branches, and single behaviors, for the local one.</summary>
/// <param name="Merged">The chunk that the oldest are merged into; none where the query sees no more chunks than it may.</param>
/// <param name="Complete">Chunks as they were cut.</param>
/// <param name="Open">The beginning of a chunk, for a candidate before whose end; none for others.</param>
/// <param name="Local">Behaviors.</param>
internal readonly record struct QueryPlan(Interval Merged, Interval Complete, Interval Open, Interval Local)
{
    public const int ChunkKinds = 3;

    /// <summary>The chunks of one kind, in the order of their ages.</summary>
    public Interval Chunks(int kind) => kind switch { 0 => Merged, 1 => Complete, _ => Open };

    /// <summary>What either of two queries sees.</summary>
    public QueryPlan Cover(QueryPlan other)
        => new(Merged.Cover(other.Merged), Complete.Cover(other.Complete), Open.Cover(other.Open), Local.Cover(other.Local));
}

/// <summary>
/// Who sees whom in a packed batch, as plain arrays that every block of the network shares.
/// <para>
/// The local behaviors of a behavior end with itself; a candidate, which no one else sees, sees itself besides its local behaviors.
/// </para>
/// <para>
/// A query sees the chunks as they were when its time had come. So a request has, besides the chunks that its history is cut into, those that
/// the oldest are merged into where they are too many, which grow from query to query, and for candidates in the middle of the history the
/// beginnings of the chunks that they are in.
/// </para>
/// </summary>
internal sealed class EvoAttentionPlan : BatchPlan
{
    private EvoAttentionLayout? _layout;

    private EvoAttentionPlan(IReadOnlyList<Request> requests, SelfAttentionOptions options) : base(requests) => Options = options;

    /// <summary>RelTemporal's time scale and the UTC offset, and the window by which the reference groups its queries.</summary>
    public SelfAttentionOptions Options { get; }

    public required RequestPlan[] Requests { get; init; }

    /// <summary>The requests' numbers, those with the most tokens first.</summary>
    public required int[] LargestFirst { get; init; }

    /// <summary>What each token sees.</summary>
    public required QueryPlan[] Queries { get; init; }

    /// <summary>
    /// The behaviors of each chunk. Of those of a request, first come the merged ones, then those that the history is cut into, then the open
    /// ones. A merged or an open chunk that begins where the one before it begins holds all of that one's behaviors.
    /// </summary>
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

    /// <summary>How many keys the transition branch has of some chunks.</summary>
    public int TransitionCount(Interval chunks) => FirstTransition[chunks.To] - FirstTransition[chunks.From];

    /// <summary>The behaviors of a chunk that the transition branch sees.</summary>
    public Interval TransitionsOf(int chunk) => new(Chunks[chunk].To - TransitionCount(new(chunk, chunk + 1)), Chunks[chunk].To);

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

    /// <summary>Whether a chunk of a request grew out of the one before it.</summary>
    public bool Continues(int chunk, RequestPlan request)
        => chunk > request.Chunks.From && Chunks[chunk].From == Chunks[chunk - 1].From && Chunks[chunk].To >= Chunks[chunk - 1].To;

    /// <summary>
    /// Plans a batch: histories are cut as the policy says; behaviors see the chunks complete before their own and the last w behaviors up to
    /// themselves, candidates the chunks and the last w behaviors of their own past.
    /// </summary>
    /// <param name="requests">The requests.</param>
    /// <param name="options">The policy, P, r, w, the time scale and the UTC offset.</param>
    public static EvoAttentionPlan Create(IReadOnlyList<Request> requests, SelfAttentionOptions options)
    {
        int behaviorCount = requests.Sum(request => request.HistoryTimestamps.Length);
        int tokenCount = behaviorCount + requests.Sum(request => request.Impressions.Count);
        var plans = new RequestPlan[requests.Count];
        var queries = new QueryPlan[tokenCount];
        var times = new long[tokenCount];
        var chunks = new List<Interval>();
        int behavior = 0, candidate = behaviorCount;
        for (int i = 0; i < plans.Length; i++)
        {
            Request request = requests[i];
            Interval behaviors = new(behavior, behavior + request.HistoryTimestamps.Length);
            Interval candidates = new(candidate, candidate + request.Impressions.Count);
            int firstChunk = chunks.Count;
            new RequestPlanner(request, behaviors, options, chunks).Plan(queries.AsSpan(behaviors.From, behaviors.Count), queries.AsSpan(candidates.From, candidates.Count));
            plans[i] = new RequestPlan(behaviors, candidates, new(firstChunk, chunks.Count));
            request.HistoryTimestamps.CopyTo(times, behaviors.From);
            for (int place = 0; place < candidates.Count; place++)
                times[candidates.From + place] = request.Impressions[place].Timestamp;
            (behavior, candidate) = (behaviors.To, candidates.To);
        }

        var (cosine, sine, weekend) = (new float[tokenCount], new float[tokenCount], new float[tokenCount]);
        for (int token = 0; token < tokenCount; token++)
        {
            LocalTime local = LocalTime.Of(times[token], options);
            (sine[token], cosine[token]) = MathF.SinCos((float)local.DayAngle);
            weekend[token] = local.IsWeekend ? 1 : 0;
        }
        return new EvoAttentionPlan(requests, options)
        {
            Requests = plans,
            LargestFirst = Enumerable.Range(0, plans.Length)
                .OrderByDescending(request => plans[request].Behaviors.Count + plans[request].Candidates.Count).ToArray(),
            Queries = queries,
            Chunks = chunks.ToArray(),
            FirstTransition = FirstTransitionOf(chunks, options.Shape.Transitions),
            Times = times,
            HourCosine = cosine,
            HourSine = sine,
            Weekend = weekend,
        };
    }

    private static int[] FirstTransitionOf(List<Interval> chunks, int transitionBehaviors)
    {
        var first = new int[chunks.Count + 1];
        for (int chunk = 0; chunk < chunks.Count; chunk++)
            first[chunk + 1] = first[chunk] + Math.Min(transitionBehaviors, chunks[chunk].Count);
        return first;
    }
}

/// <summary>Plans one request of a batch.</summary>
/// <param name="request">The request.</param>
/// <param name="behaviors">Its behaviors among the tokens.</param>
/// <param name="options">The policy, P and w.</param>
/// <param name="chunks">All chunks, to which those of the request are added.</param>
internal sealed class RequestPlanner(Request request, Interval behaviors, SelfAttentionOptions options, List<Interval> chunks)
{
    private readonly AttentionShape _shape = options.Shape;
    private readonly int[] _chunkOfBehavior = new int[behaviors.Count];

    /// <summary>Where each chunk of the cut begins, and at the end where the last one ends.</summary>
    private readonly List<int> _starts = [behaviors.From];

    /// <summary>The first of the merged and of the cut chunks among all chunks.</summary>
    private int _firstMerged, _firstCut;

    /// <summary>The fewest chunks that are ever merged into one: with P + 1 of them, two.</summary>
    private const int FewestMerged = 2;

    public void Plan(Span<QueryPlan> behaviorQueries, Span<QueryPlan> candidateQueries)
    {
        if (_shape.Chunks > 0)
            Cut();
        int cut = _starts.Count - 1;
        _firstMerged = chunks.Count;
        for (int merged = FewestMerged; merged <= MergedOf(cut); merged++)
            chunks.Add(new(behaviors.From, _starts[merged]));
        _firstCut = chunks.Count;
        for (int chunk = 0; chunk < cut; chunk++)
            chunks.Add(new(_starts[chunk], _starts[chunk + 1]));
        Dictionary<int, int> openChunks = AddOpenChunks();

        for (int i = 0; i < behaviorQueries.Length; i++)
            behaviorQueries[i] = Query(i + 1, complete: _chunkOfBehavior[i], open: default);
        for (int i = 0; i < candidateQueries.Length; i++)
        {
            int past = request.Impressions[i].PastLength;
            bool isInChunk = openChunks.TryGetValue(past, out int open);
            int begun = past == 0 || cut == 0 ? 0 : _chunkOfBehavior[past - 1] + 1;
            candidateQueries[i] = Query(past, complete: isInChunk ? begun - 1 : begun, open: isInChunk ? new(open, open + 1) : default);
        }
    }

    private void Cut()
    {
        TimeChunking.Unmerged(_shape.Chunking, request.HistoryTimestamps, _shape.Chunks, options.HistoryLength, _chunkOfBehavior);
        for (int i = 1; i <= behaviors.Count; i++)
        {
            if (i == behaviors.Count || _chunkOfBehavior[i] != _chunkOfBehavior[i - 1])
                _starts.Add(behaviors.From + i);
        }
    }

    /// <summary>For each length of a past that ends within a chunk, that chunk as far as it has come.</summary>
    private Dictionary<int, int> AddOpenChunks()
    {
        var open = new Dictionary<int, int>();
        if (_shape.Chunks == 0)
            return open;
        foreach (int past in request.Impressions.Select(impression => impression.PastLength).Distinct().Order())
        {
            if (past == 0 || past == behaviors.Count || _chunkOfBehavior[past] != _chunkOfBehavior[past - 1])
                continue;
            open.Add(past, chunks.Count);
            chunks.Add(new(_starts[_chunkOfBehavior[past - 1]], behaviors.From + past));
        }
        return open;
    }

    /// <param name="past">Behaviors up to and including the query, or before it if it is a candidate.</param>
    /// <param name="complete">The cut chunks that the query sees, or would if none were merged.</param>
    /// <param name="open">The open chunk that it sees.</param>
    private QueryPlan Query(int past, int complete, Interval open)
    {
        int merged = past == 0 || _shape.Chunks == 0 ? 0 : MergedOf(_chunkOfBehavior[past - 1] + 1);
        Interval old = merged == 0 ? default : new(_firstMerged + merged - FewestMerged, _firstMerged + merged - FewestMerged + 1);
        return new(old, new(_firstCut + merged, _firstCut + complete), open, new Interval(behaviors.From, behaviors.From + past).Last(_shape.Window));
    }

    /// <summary>Of so many chunks, how many are merged into one, so that P are left.</summary>
    private int MergedOf(int count) => count > _shape.Chunks ? count - _shape.Chunks + 1 : 0;
}
