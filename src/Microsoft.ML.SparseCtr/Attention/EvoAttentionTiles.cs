using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>Keys of one branch, at most as many as a block computes at a time, and the queries that may see any of them. As in EvoAttention.cu.</summary>
internal readonly record struct KeyTile(int Branch, int Split, Interval Keys, Interval Behaviors, Interval Candidates);

/// <summary>A plan as the kernels on a GPU take it (EvoAttention.cu): who sees whom, and which queries and keys a block computes together, as a few tensors.</summary>
internal sealed class EvoAttentionTiles : IDisposable
{
    /// <summary>
    /// Queries that a block, at most, goes through for a tile of keys that all later behaviors may see: more are split among several, whose sums are added afterwards.
    /// </summary>
    private const int QueriesPerSplit = 1024;

    // Branches, by their numbers.
    private const int Global = 0, Transition = 1, Local = 2;

    private readonly int[] _firsts;
    private readonly nint _integers;

    private EvoAttentionTiles(Builder built, Device device)
    {
        _firsts = built.Firsts.ToArray();
        Integers = OnDevice(tensor(built.Integers.ToArray()));
        _integers = DeviceMemory.AddressOf(Integers);
        Seconds = OnDevice(tensor(built.Plan.Times.AsSpan(0, built.Plan.TokenCount).ToArray()));
        Moments = OnDevice(tensor(built.Moments));
        (QueryTileCount, BehaviorTileCount, KeyTileCount) = (built.QueryTiles.Count, built.BehaviorTileCount, built.KeyTiles.Count);
        (Splits, ChunkCount, TransitionCount) = (built.Splits, built.ChunkCount, built.TransitionTokens.Count);

        Tensor OnDevice(Tensor tensor) => TensorMemory.Send(tensor, device).DetachFromDisposeScope();
    }

    /// <summary>The lists that a builder has written, one after the other.</summary>
    public Tensor Integers { get; }

    /// <summary>[tokens] Unix seconds.</summary>
    public Tensor Seconds { get; }

    /// <summary>[3, tokens] cos and sin of 2π·hour/24, and 1 at a weekend.</summary>
    public Tensor Moments { get; }

    public int QueryTileCount { get; }

    /// <summary>The tiles of behaviors among those of queries, which come first.</summary>
    public int BehaviorTileCount { get; }

    public int KeyTileCount { get; }
    public int Splits { get; }
    public int ChunkCount { get; }
    public int TransitionCount { get; }

    /// <param name="plan">The plan.</param>
    /// <param name="tile">What a block computes at a time.</param>
    /// <param name="device">Where the tensors go.</param>
    public static EvoAttentionTiles Create(EvoAttentionPlan plan, CudaEvoAttention.Tile tile, Device device)
    {
        using DisposeScope scope = NewDisposeScope();
        return new(new Builder(plan, tile.Rows), device);
    }

    /// <summary>The address of a list.</summary>
    public nint AddressOf(List list) => _integers + _firsts[(int)list] * sizeof(int);

    public void Dispose()
    {
        Integers.Dispose();
        Seconds.Dispose();
        Moments.Dispose();
    }

    /// <summary>The lists of <see cref="Integers"/>, in their order; EvoAttention.cu says what they are.</summary>
    public enum List
    {
        Queries,
        Chunks,
        Added,
        RequestChunks,
        FirstTransition,
        TransitionToken,
        FirstUse,
        Uses,
        QueryTiles,
        KeyTiles,
    }

    private sealed class Builder
    {
        private readonly int _tileRows;

        // Of each chunk, the behaviors and the candidates that see it.
        private readonly Interval[] _behaviorsSeeing, _candidatesSeeing;

        public Builder(EvoAttentionPlan plan, int tileRows)
        {
            (Plan, _tileRows, ChunkCount) = (plan, tileRows, plan.Requests.Sum(request => request.Chunks.Count));
            (_behaviorsSeeing, _candidatesSeeing) = (new Interval[ChunkCount], new Interval[ChunkCount]);
            int longest = plan.Requests.Length == 0 ? 0 : plan.Requests.Max(request => Math.Max(request.Behaviors.Count, request.Candidates.Count));
            Splits = Math.Max(1, (longest + QueriesPerSplit - 1) / QueriesPerSplit);
            Moments = new float[3, plan.TokenCount];
            for (int token = 0; token < plan.TokenCount; token++)
                (Moments[0, token], Moments[1, token], Moments[2, token]) = (plan.HourCosine[token], plan.HourSine[token], plan.Weekend[token]);
            for (int chunk = 0; chunk < ChunkCount; chunk++)
            {
                Interval transitions = plan.TransitionsOf(chunk);
                TransitionTokens.AddRange(Enumerable.Range(transitions.From, transitions.Count));
            }
            foreach (RequestPlan request in plan.Requests)
                FindWhoSees(request);
            AddQueryTiles(request => request.Behaviors);
            BehaviorTileCount = QueryTiles.Count;
            AddQueryTiles(request => request.Candidates);
            foreach (RequestPlan request in plan.Requests)
                AddKeyTiles(request);

            Write(plan.Queries.AsSpan(0, plan.TokenCount));
            Write(plan.Chunks.AsSpan(0, ChunkCount));
            Interval[] added = AddedToChunks();
            Write<Interval>(added);
            Write<Interval>(plan.Requests.Select(request => request.Chunks).ToArray());
            Write(plan.FirstTransition.AsSpan(0, ChunkCount + 1));
            Write(CollectionsMarshal.AsSpan(TransitionTokens));
            (int[] firstUse, int[] uses) = Uses(added);
            Write<int>(firstUse);
            Write<int>(uses);
            Write(CollectionsMarshal.AsSpan(QueryTiles));
            Write(CollectionsMarshal.AsSpan(KeyTiles));
        }

        public EvoAttentionPlan Plan { get; }
        public int ChunkCount { get; }
        public List<int> Integers { get; } = [];
        public List<int> Firsts { get; } = [];
        public float[,] Moments { get; }
        public List<int> TransitionTokens { get; } = [];
        public List<Interval> QueryTiles { get; } = [];
        public int BehaviorTileCount { get; }
        public List<KeyTile> KeyTiles { get; } = [];
        public int Splits { get; }

        private void Write<T>(ReadOnlySpan<T> list) where T : unmanaged
        {
            Firsts.Add(Integers.Count);
            Integers.AddRange(MemoryMarshal.Cast<T, int>(list));
        }

        private void Write<T>(Span<T> list) where T : unmanaged => Write((ReadOnlySpan<T>)list);

        /// <summary>The behaviors of each chunk that are not in the one that it grew out of.</summary>
        private Interval[] AddedToChunks() => Plan.Requests
            .SelectMany(request => Enumerable.Range(request.Chunks.From, request.Chunks.Count).Select(chunk => Plan.AddedTo(chunk, request))).ToArray();

        /// <summary>Of each token, the chunks that it was added to, and the transitions that it is, which are numbered behind the chunks.</summary>
        private (int[] FirstUse, int[] Uses) Uses(Interval[] addedToChunks)
        {
            var columns = addedToChunks.SelectMany((added, chunk) => Enumerable.Range(added.From, added.Count).Select(token => (Token: token, Column: chunk)))
                .Concat(TransitionTokens.Select((token, transition) => (Token: token, Column: ChunkCount + transition))).ToArray();
            var first = new int[Plan.TokenCount + 1];
            foreach ((int token, _) in columns)
                first[token + 1]++;
            for (int token = 0; token < Plan.TokenCount; token++)
                first[token + 1] += first[token];
            var uses = new int[columns.Length];
            int[] next = first.ToArray();
            foreach ((int token, int column) in columns)
                uses[next[token]++] = column;
            return (first, uses);
        }

        private void FindWhoSees(RequestPlan request)
        {
            foreach ((Interval queries, Interval[] seeing) in ((Interval, Interval[])[])[(request.Behaviors, _behaviorsSeeing), (request.Candidates, _candidatesSeeing)])
            {
                for (int kind = 0; kind < QueryPlan.ChunkKinds; kind++)
                {
                    // What a query sees differs little from what the one before it sees: only where it does is there something to note.
                    Interval before = default;
                    for (int query = queries.From; query < queries.To; query++)
                    {
                        Interval chunks = Plan.Queries[query].Chunks(kind);
                        if (chunks != before)
                        {
                            Note(before, seeing, query - 1);
                            Note(chunks, seeing, query);
                        }
                        before = chunks;
                    }
                    Note(before, seeing, queries.To - 1);
                }
            }

            static void Note(Interval chunks, Interval[] seeing, int query)
            {
                for (int chunk = chunks.From; chunk < chunks.To; chunk++)
                    seeing[chunk] = seeing[chunk].Cover(new(query, query + 1));
            }
        }

        private void AddQueryTiles(Func<RequestPlan, Interval> queriesOf)
        {
            foreach (RequestPlan request in Plan.Requests)
                QueryTiles.AddRange(Cut(queriesOf(request)));
        }

        private IEnumerable<Interval> Cut(Interval numbers)
        {
            for (int first = numbers.From; first < numbers.To; first += _tileRows)
                yield return new(first, Math.Min(first + _tileRows, numbers.To));
        }

        private void AddKeyTiles(RequestPlan request)
        {
            Interval[] local = new Interval[request.Candidates.Count];
            for (int i = 0; i < local.Length; i++)
                local[i] = Plan.Queries[request.Candidates.From + i].Local;
            foreach (Interval behaviors in Cut(request.Behaviors))
            {
                // A behavior is seen by itself and those after it whose windows it is in.
                int last = behaviors.To - 1;
                while (last + 1 < request.Behaviors.To && Plan.Queries[last + 1].Local.From < behaviors.To)
                    last++;
                Interval candidates = default;
                for (int i = 0; i < local.Length; i++)
                {
                    if (local[i].From < behaviors.To && local[i].To > behaviors.From)
                        candidates = candidates.Cover(new(request.Candidates.From + i, request.Candidates.From + i + 1));
                }
                KeyTiles.Add(new(Local, 0, behaviors, new(behaviors.From, last + 1), candidates));
            }
            foreach (Interval candidates in Cut(request.Candidates))
                KeyTiles.Add(new(Local, 0, candidates, default, candidates));
            foreach (Interval chunks in Cut(request.Chunks))
                AddSplits(Global, chunks, chunks);

            Interval transitions = new(Plan.FirstTransition[request.Chunks.From], Plan.FirstTransition[request.Chunks.To]);
            int first = request.Chunks.From;
            foreach (Interval keys in Cut(transitions))
            {
                while (Plan.FirstTransition[first + 1] <= keys.From)
                    first++;
                int end = first + 1;
                while (Plan.FirstTransition[end] < keys.To)
                    end++;
                AddSplits(Transition, keys, new(first, end));
            }
        }

        private void AddSplits(int branch, Interval keys, Interval chunks)
        {
            (Interval behaviors, Interval candidates) = (default, default);
            for (int chunk = chunks.From; chunk < chunks.To; chunk++)
                (behaviors, candidates) = (behaviors.Cover(_behaviorsSeeing[chunk]), candidates.Cover(_candidatesSeeing[chunk]));
            for (int split = 0; split < Splits; split++)
                KeyTiles.Add(new(branch, split, keys, Part(behaviors, split), Part(candidates, split)));
        }

        private Interval Part(Interval queries, int split)
            => new(queries.From + (int)((long)queries.Count * split / Splits), queries.From + (int)((long)queries.Count * (split + 1) / Splits));
    }
}
