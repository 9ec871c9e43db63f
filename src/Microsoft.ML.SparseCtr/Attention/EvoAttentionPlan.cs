using TorchSharp;
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
    private readonly RequestPlanner _planner;
    private EvoAttentionLayout? _layout;
    private EvoAttentionTiles? _tiles;

    /// <summary>A plan of nothing yet, to be filled again and again (<see cref="Fill"/>).</summary>
    /// <param name="options">The policy, P, r, w, the time scale and the UTC offset.</param>
    public EvoAttentionPlan(SelfAttentionOptions options)
    {
        Options = options;
        _planner = new RequestPlanner(options);
        AttentionShape shape = _planner.Shape;
        HasFewColumns = options.HistoryLength > 4L * (shape.Chunks * (1L + shape.Transitions) + shape.Window);
    }

    /// <summary>RelTemporal's time scale and the UTC offset, and the window by which the reference groups its queries.</summary>
    public SelfAttentionOptions Options { get; }

    public RequestPlan[] Requests { get; private set; } = [];

    /// <summary>The requests' numbers, those with the most tokens first.</summary>
    public int[] LargestFirst { get; private set; } = [];

    /// <summary>What each token sees.</summary>
    public QueryPlan[] Queries { get; private set; } = [];

    /// <summary>
    /// The behaviors of each chunk. Of those of a request, first come the merged ones, then those that the history is cut into, then the open
    /// ones. A merged or an open chunk that begins where the one before it begins holds all of that one's behaviors.
    /// </summary>
    public Interval[] Chunks { get; private set; } = [];

    /// <summary>
    /// The transition branch's keys, the last r behaviors of each chunk, are numbered chunk after chunk: here is the first of each chunk, and
    /// at the end how many there are.
    /// </summary>
    public int[] FirstTransition { get; private set; } = [];

    /// <summary>Unix seconds of each token; a chunk's are those of its last behavior.</summary>
    public long[] Times { get; private set; } = [];

    /// <summary>cos and sin of 2π·hour/24, by which the cosine of a difference is a sum of products, and 1 for a token of a weekend.</summary>
    public float[] HourCosine { get; private set; } = [];
    public float[] HourSine { get; private set; } = [];
    public float[] Weekend { get; private set; } = [];

    /// <summary>
    /// The columns that the candidates see of all requests are numbered request after request: here is the first of each request, and behind them how many
    /// there are. Known where there are few (<see cref="HasFewColumns"/>).
    /// </summary>
    public int[] FirstColumn { get; private set; } = [];

    /// <summary>The columns that the candidates see.</summary>
    public int ColumnCount => FirstColumn[Requests.Length];

    /// <summary>
    /// Whether these are few beside the tokens of a long history. Keys and values are linear in the tokens, so where candidates are the only queries they are made
    /// of the columns then, of the mean of a chunk and not of each of its behaviors. That rounds otherwise, so the options alone decide: what comes after a
    /// candidate must not change a bit of its score.
    /// </summary>
    public bool HasFewColumns { get; }

    /// <summary>How many keys the transition branch has of some chunks.</summary>
    public int TransitionCount(Interval chunks) => FirstTransition[chunks.To] - FirstTransition[chunks.From];

    /// <summary>The behaviors of a chunk that the transition branch sees.</summary>
    public Interval TransitionsOf(int chunk) => new(Chunks[chunk].To - TransitionCount(new(chunk, chunk + 1)), Chunks[chunk].To);

    /// <summary>The rows of the tokens, or of what there is of each, that are queries: all, or those of the candidates.</summary>
    public Tensor Asking(Tensor tokens, bool candidatesOnly) => candidatesOnly ? tokens.narrow(0, BehaviorCount, CandidateCount) : tokens;

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

    /// <summary>The same for a GPU's kernels, on the device of the tokens; it is there if it has been sent, and made if not.</summary>
    public EvoAttentionTiles TilesFor(Tensor tokens) => _tiles ??= EvoAttentionTiles.Create(this, TileOn(CudaKernels.Of(tokens)!)!.Value, tokens.device);

    /// <inheritdoc/>
    public override void SendTo(Device device)
    {
        if (device.type == DeviceType.CUDA && CudaKernels.OfGpu(device.index).Kernels is { } kernels && TileOn(kernels) is { } tile)
            _tiles = EvoAttentionTiles.Create(this, tile, device);
    }

    private CudaEvoAttention.Tile? TileOn(CudaKernels kernels)
        => CudaEvoAttention.Tile.For(Options.ModelDimension / Options.NumberOfHeads, kernels.SharedBytesOfBlock);

    /// <inheritdoc/>
    public override void Dispose() => _tiles?.Dispose();

    /// <summary>Whether a chunk of a request grew out of the one before it.</summary>
    public bool Continues(int chunk, RequestPlan request)
        => chunk > request.Chunks.From && Chunks[chunk].From == Chunks[chunk - 1].From && Chunks[chunk].To >= Chunks[chunk - 1].To;

    /// <summary>The behaviors of a chunk that are not in the one that it grew out of.</summary>
    public Interval AddedTo(int chunk, RequestPlan request) => Continues(chunk, request) ? new(Chunks[chunk - 1].To, Chunks[chunk].To) : Chunks[chunk];

    /// <summary>
    /// Plans a batch: histories are cut as the policy says; behaviors see the chunks complete before their own and the last w behaviors up to
    /// themselves, candidates the chunks and the last w behaviors of their own past.
    /// </summary>
    /// <param name="requests">The requests.</param>
    /// <param name="options">The policy, P, r, w, the time scale and the UTC offset.</param>
    public static EvoAttentionPlan Create(IReadOnlyList<Request> requests, SelfAttentionOptions options)
    {
        var plan = new EvoAttentionPlan(options);
        plan.Fill([.. requests]);
        return plan;
    }

    /// <summary><see cref="Create"/> in the memory of the requests that were planned before.</summary>
    public void Fill(ReadOnlySpan<Request> requests)
    {
        FillPasts(requests);
        (_layout, _tiles) = (null, null);
        if (Requests.Length != requests.Length)
            Requests = new RequestPlan[requests.Length];
        Queries = Room(Queries, TokenCount);
        Times = Room(Times, TokenCount);
        _planner.Chunks.Clear();
        int behavior = 0, candidate = BehaviorCount;
        for (int i = 0; i < Requests.Length; i++)
        {
            Request request = requests[i];
            Interval behaviors = new(behavior, behavior + request.HistoryTimestamps.Length);
            Interval candidates = new(candidate, candidate + request.Impressions.Count);
            int firstChunk = _planner.Chunks.Count;
            _planner.Plan(request, behaviors, Queries.AsSpan(behaviors.From, behaviors.Count), Queries.AsSpan(candidates.From, candidates.Count));
            Requests[i] = new RequestPlan(behaviors, candidates, new(firstChunk, _planner.Chunks.Count));
            request.HistoryTimestamps.CopyTo(Times, behaviors.From);
            for (int place = 0; place < candidates.Count; place++)
                Times[candidates.From + place] = request.Impressions[place].Timestamp;
            (behavior, candidate) = (behaviors.To, candidates.To);
        }
        if (LargestFirst.Length != Requests.Length || Requests.Length > 1)
        {
            LargestFirst = Enumerable.Range(0, Requests.Length)
                .OrderByDescending(request => Requests[request].Behaviors.Count + Requests[request].Candidates.Count).ToArray();
        }
        FillLocalTimes();
        FillChunks();
        if (HasFewColumns)
            FillColumns();
    }

    private void FillLocalTimes()
    {
        (HourCosine, HourSine, Weekend) = (Room(HourCosine, TokenCount), Room(HourSine, TokenCount), Room(Weekend, TokenCount));
        for (int token = 0; token < TokenCount; token++)
        {
            Moment moment = Moment.Of(Times[token], Options);
            (HourCosine[token], HourSine[token], Weekend[token]) = (moment.Cosine, moment.Sine, moment.Weekend);
        }
    }

    private void FillChunks()
    {
        int count = _planner.Chunks.Count;
        (Chunks, FirstTransition) = (Room(Chunks, count), Room(FirstTransition, count + 1));
        _planner.Chunks.CopyTo(Chunks);
        for (int chunk = 0; chunk < count; chunk++)
            FirstTransition[chunk + 1] = FirstTransition[chunk] + Math.Min(_planner.Shape.Transitions, Chunks[chunk].Count);
    }

    private void FillColumns()
    {
        FirstColumn = Room(FirstColumn, Requests.Length + 1);
        for (int i = 0; i < Requests.Length; i++)
            FirstColumn[i + 1] = FirstColumn[i] + ColumnsOf(i).Count;
    }

    private RequestColumns ColumnsOf(int request) => new(this, Requests[request], candidatesOnly: true);

    /// <summary>Writes the columns that the candidates see.</summary>
    /// <param name="tokens">[tokens, width].</param>
    /// <param name="columns">[columns, width] receives them.</param>
    /// <param name="stride">From a row to the next.</param>
    /// <param name="width">Numbers in a row.</param>
    public unsafe void GatherColumns(float* tokens, float* columns, int stride, int width)
    {
        for (int i = 0; i < Requests.Length; i++)
            ColumnsOf(i).Gather(tokens, stride, columns + (long)FirstColumn[i] * stride, stride, width);
    }

    /// <summary>Adds the gradients of the columns to those of the tokens that they came from. Those of the columns are written over.</summary>
    public unsafe void ScatterColumns(float* columns, float* tokens, int stride, int width)
    {
        for (int i = 0; i < Requests.Length; i++)
            ColumnsOf(i).Scatter(columns + (long)FirstColumn[i] * stride, stride, tokens, stride, width);
    }
}

/// <summary>Plans the requests of a batch, one after the other, in memory that is kept.</summary>
/// <param name="options">The policy, P and w.</param>
internal sealed class RequestPlanner(SelfAttentionOptions options)
{
    private readonly TimeChunking.Chunker? _chunker
        = options.Shape.Chunks > 0 ? new(options.Shape.Chunking, options.Shape.Chunks, options.HistoryLength) : null;

    /// <summary>Where each chunk of the cut begins, and at the end where the last one ends.</summary>
    private readonly List<int> _starts = [];

    /// <summary>For each length of a past that ends within a chunk, that chunk as far as it has come.</summary>
    private readonly Dictionary<int, int> _open = [];
    private readonly List<int> _pasts = [];

    /// <summary>The request, its behaviors among the tokens, and the chunk of the cut that each is in.</summary>
    private Request _request = null!;
    private Interval _behaviors;
    private int[] _chunkOfBehavior = [];

    /// <summary>The first of the merged and of the cut chunks among all chunks.</summary>
    private int _firstMerged, _firstCut;

    /// <summary>The fewest chunks that are ever merged into one: with P + 1 of them, two.</summary>
    private const int FewestMerged = 2;

    public AttentionShape Shape { get; } = options.Shape;

    /// <summary>All chunks, to which those of each request are added.</summary>
    public List<Interval> Chunks { get; } = [];

    public void Plan(Request request, Interval behaviors, Span<QueryPlan> behaviorQueries, Span<QueryPlan> candidateQueries)
    {
        (_request, _behaviors) = (request, behaviors);
        if (_chunkOfBehavior.Length < behaviors.Count)
            _chunkOfBehavior = new int[behaviors.Count];
        _starts.Clear();
        _starts.Add(behaviors.From);
        if (_chunker is not null)
            Cut(_chunker);
        int cut = _starts.Count - 1;
        _firstMerged = Chunks.Count;
        for (int merged = FewestMerged; merged <= MergedOf(cut); merged++)
            Chunks.Add(new(behaviors.From, _starts[merged]));
        _firstCut = Chunks.Count;
        for (int chunk = 0; chunk < cut; chunk++)
            Chunks.Add(new(_starts[chunk], _starts[chunk + 1]));
        AddOpenChunks();

        for (int i = 0; i < behaviorQueries.Length; i++)
            behaviorQueries[i] = Query(i + 1, complete: _chunkOfBehavior[i], open: default);
        for (int i = 0; i < candidateQueries.Length; i++)
        {
            int past = request.Impressions[i].PastLength;
            bool isInChunk = _open.TryGetValue(past, out int open);
            int begun = past == 0 || cut == 0 ? 0 : _chunkOfBehavior[past - 1] + 1;
            candidateQueries[i] = Query(past, complete: isInChunk ? begun - 1 : begun, open: isInChunk ? new(open, open + 1) : default);
        }
    }

    private void Cut(TimeChunking.Chunker chunker)
    {
        chunker.Cut(_request.HistoryTimestamps, _chunkOfBehavior.AsSpan(0, _behaviors.Count));
        for (int i = 1; i <= _behaviors.Count; i++)
        {
            if (i == _behaviors.Count || _chunkOfBehavior[i] != _chunkOfBehavior[i - 1])
                _starts.Add(_behaviors.From + i);
        }
    }

    private void AddOpenChunks()
    {
        _open.Clear();
        if (_chunker is null)
            return;
        _pasts.Clear();
        foreach (Impression impression in _request.Impressions)
            _pasts.Add(impression.PastLength);
        _pasts.Sort();
        foreach (int past in _pasts)
        {
            bool isWithinChunk = past > 0 && past < _behaviors.Count && _chunkOfBehavior[past] == _chunkOfBehavior[past - 1];
            if (isWithinChunk && _open.TryAdd(past, Chunks.Count))
                Chunks.Add(new(_starts[_chunkOfBehavior[past - 1]], _behaviors.From + past));
        }
    }

    /// <param name="past">Behaviors up to and including the query, or before it if it is a candidate.</param>
    /// <param name="complete">The cut chunks that the query sees, or would if none were merged.</param>
    /// <param name="open">The open chunk that it sees.</param>
    private QueryPlan Query(int past, int complete, Interval open)
    {
        int merged = past == 0 || Shape.Chunks == 0 ? 0 : MergedOf(_chunkOfBehavior[past - 1] + 1);
        Interval old = merged == 0 ? default : new(_firstMerged + merged - FewestMerged, _firstMerged + merged - FewestMerged + 1);
        return new(old, new(_firstCut + merged, _firstCut + complete), open, new Interval(_behaviors.From, _behaviors.From + past).Last(Shape.Window));
    }

    /// <summary>Of so many chunks, how many are merged into one, so that P are left.</summary>
    private int MergedOf(int count) => count > Shape.Chunks ? count - Shape.Chunks + 1 : 0;
}
