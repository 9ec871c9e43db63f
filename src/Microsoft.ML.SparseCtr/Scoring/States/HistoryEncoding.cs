using System.Runtime.InteropServices;

namespace Microsoft.ML.SparseCtr;

/// <summary>Where an event goes that arrives.</summary>
/// <param name="Event">Its place in the history.</param>
/// <param name="Chunk">The number of its chunk's column; −1 where histories are not cut.</param>
/// <param name="Length">Events of its chunk, with it.</param>
internal readonly record struct Arrival(int Event, int Chunk, int Length)
{
    /// <summary>Whether it is the first of its chunk.</summary>
    public bool BeginsChunk => Length == 1;
}

/// <summary>
/// All that later queries see of a history in the blocks of a <see cref="SparseCtrNetwork"/>: for each block, the keys and values of its chunks, of the last r behaviors of each
/// chunk and of the w latest behaviors. It grows event by event, as none of that depends on what comes later (docs/serving.md).
/// <para>
/// The columns of a branch are in no order, which softmaxes do not ask for: a chunk keeps its column for as long as it is not merged with the one before it, and an event takes
/// that of one which is no longer among the last of its chunk, or in the window.
/// </para>
/// </summary>
internal sealed unsafe class HistoryEncoding
{
    private const int Global = 0, Transition = 1, Local = 2, Branches = EvoAttentionLayout.Branches;

    /// <summary>What the objects take besides the arrays that grow: of a block, or of all together; and of a chunk.</summary>
    private const long ObjectBytes = 500, ChunkBytes = 80;

    private readonly SelfAttentionOptions _options;
    private readonly AttentionShape _shape;
    private readonly int _width;

    /// <summary>Per block and branch; and per block the sums over each chunk's events, [P, 2·d].</summary>
    private readonly KeyColumns[][] _columns;
    private readonly float[][] _sums;
    private readonly ColumnTimes[] _times = [new(), new(), new()];

    /// <summary>The columns of the chunks, the oldest chunk first, and each one's events by its column.</summary>
    private readonly List<int> _chunks = [];
    private readonly Interval[] _eventsOf;

    /// <summary>The columns of the last r events of each chunk, oldest first, by the chunk's column; and those that no event has any more.</summary>
    private readonly Queue<int>[] _transitionsOf;
    private readonly Stack<int> _freeTransitions = [];

    private readonly CausalBoundaries? _boundaries;

    /// <summary>How the events were cut; kept where an event can change it.</summary>
    private int[] _cut = [];

    public HistoryEncoding(SelfAttentionOptions options)
    {
        (_options, _shape, _width) = (options, options.Shape, 2 * options.ModelDimension);
        int headDimension = options.ModelDimension / options.NumberOfHeads;
        _columns = Enumerable.Range(0, options.NumberOfBlocks)
            .Select(_ => Enumerable.Range(0, Branches).Select(_ => new KeyColumns(options.NumberOfHeads, headDimension)).ToArray()).ToArray();
        _sums = _columns.Select(_ => Array.Empty<float>()).ToArray();
        _eventsOf = new Interval[_shape.Chunks];
        _transitionsOf = Enumerable.Range(0, _shape.Chunks).Select(_ => new Queue<int>()).ToArray();
        if (_shape.Chunks > 0 && _shape.Chunking == ChunkingPolicy.Causal)
            _boundaries = new CausalBoundaries(_shape.Chunks, options.HistoryLength);
    }

    /// <summary>Events that are encoded.</summary>
    public int Count { get; private set; }

    /// <summary>Columns of all branches, each branch's up to a multiple of a vector.</summary>
    public int Width => WidthOf(Global) + WidthOf(Transition) + WidthOf(Local);

    /// <summary>Bytes of memory, about.</summary>
    public long ByteSize => ObjectBytes * (1 + _columns.Length) + _shape.Chunks * ChunkBytes + _times.Sum(times => times.ByteSize)
        + _columns.Sum(block => block.Sum(columns => columns.ByteSize)) + _sums.Sum(sums => sums.LongLength * sizeof(float));

    public int WidthOf(int branch) => _times[branch].Width;

    /// <summary>The keys and values of a block's branch.</summary>
    public KeyColumns ColumnsOf(int block, int branch) => _columns[block][branch];

    /// <summary>
    /// Gets ready for events up to the last of some times. With the largest gaps, one that arrives can move boundaries between older ones, on which what blocks made of these
    /// depends: then nothing is encoded any more.
    /// </summary>
    public void Expect(long[] times)
    {
        if (_shape.Chunks == 0 || _shape.Chunking != ChunkingPolicy.LargestGaps)
            return;
        var cut = new int[times.Length];
        TimeChunking.LargestGaps(times, _shape.Chunks, cut);
        if (!cut.AsSpan(0, Count).SequenceEqual(_cut.AsSpan(0, Count)))
            Clear();
        _cut = cut;
    }

    /// <summary>Forgets all events.</summary>
    public void Clear()
    {
        Count = 0;
        _chunks.Clear();
        _freeTransitions.Clear();
        foreach (Queue<int> transitions in _transitionsOf)
            transitions.Clear();
        _boundaries?.Clear();
        foreach (ColumnTimes times in _times)
            times.Clear();
    }

    /// <summary>Makes room for the next event: finds its chunk, and merges the two oldest where it begins one too many.</summary>
    /// <param name="times">The times of the events, up to that one at least.</param>
    public Arrival Arrive(long[] times)
    {
        int next = Count;
        if (_shape.Chunks == 0)
            return new(next, -1, 0);
        if (Begins(times, next))
        {
            int free = _chunks.Count < _shape.Chunks ? _chunks.Count : MergeOldest();
            _chunks.Add(free);
            _eventsOf[free] = new(next, next);
        }
        int chunk = _chunks[^1];
        if (_transitionsOf[chunk].Count == _shape.Transitions)
            FreeOldestTransition(chunk);
        return new(next, chunk, _eventsOf[chunk].Count + 1);
    }

    private bool Begins(long[] times, int next) => next == 0 || _shape.Chunking switch
    {
        ChunkingPolicy.Causal => _boundaries!.Add(times[next] - times[next - 1]),
        ChunkingPolicy.EqualCounts => next % TimeChunking.EqualCount(_shape.Chunks, _options.HistoryLength) == 0,
        _ => _cut[next] != _cut[next - 1],
    };

    /// <summary>Of the two oldest chunks, the second one's events go to the first.</summary>
    /// <returns>The column that is free.</returns>
    private int MergeOldest()
    {
        (int into, int from) = (_chunks[0], _chunks[1]);
        Interval moved = _eventsOf[from];
        _chunks.RemoveAt(1);
        _eventsOf[into] = new(_eventsOf[into].From, moved.To);
        for (int block = 0; block < _columns.Length; block++)
        {
            AddScaled(SumOf(block, from), 1, SumOf(block, into));
            _columns[block][Global].Write(into, SumOf(block, into), 1f / _eventsOf[into].Count);
        }
        _times[Global].Copy(from, into);
        _times[Global].Hide(from);
        foreach (int column in _transitionsOf[from])
            _transitionsOf[into].Enqueue(column);
        _transitionsOf[from].Clear();
        while (_transitionsOf[into].Count > _shape.Transitions)
            FreeOldestTransition(into);
        return from;
    }

    private void FreeOldestTransition(int chunk)
    {
        int column = _transitionsOf[chunk].Dequeue();
        _times[Transition].Hide(column);
        _freeTransitions.Push(column);
    }

    /// <summary>The column that the next event of a chunk takes in the transition branch.</summary>
    private int NextTransition => _freeTransitions.TryPeek(out int free) ? free : _times[Transition].Count;

    private int LocalColumn(int place) => place % _shape.Window;

    /// <summary>What a query of some time sees: of all that is encoded, or, if it is a behavior, of all but its own chunk and what leaves the window.</summary>
    /// <param name="moment">The query's time.</param>
    /// <param name="pairs">Receives it for all branches, one behind the other: <see cref="Width"/> numbers in each row.</param>
    /// <param name="behavior">Where the query goes; null for a candidate.</param>
    public void WritePairs(Moment moment, TemporalPairs pairs, Arrival? behavior)
    {
        var inverseScale = (float)(1 / _options.TimeScaleSeconds);
        TemporalPairs rest = pairs;
        for (int branch = 0; branch < Branches; branch++)
        {
            _times[branch].WritePairs(moment, inverseScale, rest);
            if (behavior is { } arrival)
                HideFrom(arrival, branch, new Span<float>(rest.Hidden, _times[branch].Count));
            rest = rest.From(_times[branch].Width);
        }
    }

    private void HideFrom(Arrival behavior, int branch, Span<float> hidden)
    {
        if (branch == Local)
        {
            Hide(LocalColumn(behavior.Event), hidden);
        }
        else if (branch == Global && behavior.Chunk >= 0)
        {
            Hide(behavior.Chunk, hidden);
        }
        else if (branch == Transition && behavior.Chunk >= 0)
        {
            foreach (int column in _transitionsOf[behavior.Chunk])
                Hide(column, hidden);
        }

        static void Hide(int column, Span<float> hidden)
        {
            if (column < hidden.Length)
                hidden[column] = float.NegativeInfinity;
        }
    }

    /// <summary>Adds what a block made of an event that arrived.</summary>
    /// <param name="block">The block.</param>
    /// <param name="arrival">Where the event goes.</param>
    /// <param name="keyAndValue">[2·d].</param>
    public void Add(int block, Arrival arrival, ReadOnlySpan<float> keyAndValue)
    {
        KeyColumns[] columns = _columns[block];
        if (arrival.Chunk >= 0)
        {
            Span<float> sum = SumOf(block, arrival.Chunk);
            if (arrival.BeginsChunk)
                keyAndValue.CopyTo(sum);
            else
                AddScaled(keyAndValue, 1, sum);
            columns[Global].Reserve(arrival.Chunk + 1);
            columns[Global].Write(arrival.Chunk, sum, 1f / arrival.Length);
            columns[Transition].Reserve(NextTransition + 1);
            columns[Transition].Write(NextTransition, keyAndValue);
        }
        columns[Local].Reserve(LocalColumn(arrival.Event) + 1);
        columns[Local].Write(LocalColumn(arrival.Event), keyAndValue);
    }

    /// <summary>Counts an event that has been added to all blocks.</summary>
    public void Complete(Arrival arrival, Moment moment)
    {
        if (arrival.Chunk >= 0)
        {
            _eventsOf[arrival.Chunk] = new(_eventsOf[arrival.Chunk].From, arrival.Event + 1);
            _times[Global].Write(arrival.Chunk, moment);
            int column = NextTransition;
            _freeTransitions.TryPop(out _);
            _transitionsOf[arrival.Chunk].Enqueue(column);
            _times[Transition].Write(column, moment);
        }
        _times[Local].Write(LocalColumn(arrival.Event), moment);
        Count++;
    }

    /// <summary>Of events, what a candidate attended to.</summary>
    public AttentionMap MapOf(AttentionRecord record)
    {
        float[] means = Enumerable.Range(0, record.Weights.GetLength(1)).Select(column => MeanOverHeads(record.Weights, column)).ToArray();
        int firstTransition = WidthOf(Global), firstLocal = firstTransition + WidthOf(Transition);
        var transition = new float[Count];
        foreach (int chunk in _chunks)
        {
            int place = _eventsOf[chunk].To - _transitionsOf[chunk].Count;
            foreach (int column in _transitionsOf[chunk])
                transition[place++] = means[firstTransition + column];
        }
        var local = new float[Count];
        Interval window = new Interval(0, Count).Last(_shape.Window);
        for (int place = window.From; place < window.To; place++)
            local[place] = means[firstLocal + LocalColumn(place)];
        float[] gates = Enumerable.Range(0, Branches).Select(branch => Enumerable.Range(0, record.Selves.Length).Average(head => record.Gates[branch, head])).ToArray();
        return new AttentionMap(_chunks.Select(chunk => new AttendedChunk(_eventsOf[chunk].From, _eventsOf[chunk].Count, means[chunk])).ToArray(),
            transition, local, record.Selves.Average(), gates[Global], gates[Transition], gates[Local]);

        static float MeanOverHeads(float[,] weights, int column) => Enumerable.Range(0, weights.GetLength(0)).Average(head => weights[head, column]);
    }

    private Span<float> SumOf(int block, int chunk)
    {
        if (_sums[block].Length < (chunk + 1) * _width)
            Array.Resize(ref _sums[block], Math.Min(Math.Max(chunk + 1, 2 * (_sums[block].Length / _width)), _shape.Chunks) * _width);
        return _sums[block].AsSpan(chunk * _width, _width);
    }

    private static void AddScaled(ReadOnlySpan<float> from, float scale, Span<float> to)
    {
        fixed (float* source = from, target = to)
            SmallMatrix.AddScaled(source, scale, target, from.Length);
    }

    /// <summary>Writes all keys and values; where they go follows from the events' times.</summary>
    public void Write(BinaryWriter writer) => Visit((span, _) => writer.Write(MemoryMarshal.AsBytes(span)));

    /// <summary>Reads what <see cref="Write"/> has written of events of such times.</summary>
    public void Read(BinaryReader reader, long[] times)
    {
        Clear();
        Expect(times);
        var nothing = new float[_width];
        foreach (long time in times)
        {
            Arrival arrival = Arrive(times);
            for (int block = 0; block < _columns.Length; block++)
                Add(block, arrival, nothing);
            Complete(arrival, Moment.Of(time, _options));
        }
        Visit((span, store) =>
        {
            reader.BaseStream.ReadExactly(MemoryMarshal.AsBytes(span));
            store(span);
        });
    }

    private delegate void Visitor(Span<float> keyAndValue, SpanAction store);

    private delegate void SpanAction(ReadOnlySpan<float> keyAndValue);

    /// <summary>Shows all that is encoded, and stores what is given back instead of it.</summary>
    private void Visit(Visitor visitor)
    {
        var keyAndValue = new float[_width];
        for (int block = 0; block < _columns.Length; block++)
        {
            foreach (int chunk in _chunks)
            {
                int current = block;
                SumOf(block, chunk).CopyTo(keyAndValue);
                visitor(keyAndValue, sum =>
                {
                    sum.CopyTo(SumOf(current, chunk));
                    _columns[current][Global].Write(chunk, sum, 1f / _eventsOf[chunk].Count);
                });
            }
            foreach (int branch in (ReadOnlySpan<int>)[Transition, Local])
            {
                KeyColumns columns = _columns[block][branch];
                for (int column = 0; column < _times[branch].Count; column++)
                {
                    if (!_times[branch].IsVisible(column))
                        continue;
                    int current = column;
                    columns.Read(column, keyAndValue);
                    visitor(keyAndValue, read => columns.Write(current, read));
                }
            }
        }
    }
}
