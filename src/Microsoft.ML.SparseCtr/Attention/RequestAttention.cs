using System.Numerics;
using System.Runtime.InteropServices;
using static Microsoft.ML.SparseCtr.SmallMatrix;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// EvoAttention of one request and some of its heads, and the memory that it takes, which is kept from request to request.
/// <para>
/// The request's keys are gathered as the columns of one matrix per head (<see cref="RequestColumns"/>). Queries go by tiles of eight consecutive ones: their logits
/// are small products of matrices over the columns that any of them sees, where what one of them does not see is hidden. Products with the
/// transposed matrix and with the matrix itself both run over contiguous rows, so both are kept. The backward pass computes the
/// probabilities again.
/// </para>
/// </summary>
internal sealed unsafe class RequestAttention
{
    private const int TileSize = 8;

    // Kinds of columns, branch after branch: chunks of each kind, their transitions, local behaviors, and candidates.
    private const int Transition = QueryPlan.ChunkKinds, Window = 2 * QueryPlan.ChunkKinds, Self = Window + 1, Kinds = Self + 1;

    private const int Branches = EvoAttentionLayout.Branches;
    private const int Features = 3;

    /// <summary>Columns of one kind that the queries of a tile see, and where their logits are in a row of the tile.</summary>
    private readonly record struct Segment(int Kind, int Column, int Count, int Offset)
    {
        public int Width => RoundUp(Count, Lanes);
        public int End => Offset + Width;
    }

    // Per column: its time, and what RelTemporal sees of it.
    private readonly NativeBuffer<double> _seconds = new();
    private readonly NativeBuffer<float> _cosine = new(), _sine = new(), _weekend = new();

    // [columns, heads · d_h] of keys or values, where they are made of those of the tokens.
    private readonly NativeBuffer<float> _gathered = new();

    // Per head: [columns, d_h'] and transposed [d_h', columns'], where primes are rounded up; and gradients of the first.
    private readonly NativeBuffer<float> _keys = new(), _values = new(), _keysT = new(), _valuesT = new(), _keyGradients = new(), _valueGradients = new();

    // Per tile: [8, columns of the tile] of what all heads share, and of one head; and [8, d_h'] of one head.
    private readonly NativeBuffer<float> _features = new(), _hidden = new(), _logits = new(), _logitGradients = new();
    private readonly NativeBuffer<float> _query = new(), _output = new(), _queryGradient = new(), _outputGradient = new();

    private EvoAttentionKernel _call;
    private EvoAttentionPlan _plan = null!;
    private RequestPlan _request;
    private Interval _heads;
    private int _padded;        // d_h'

    private RequestColumns _columns;
    private long _firstColumn;  // among those of all requests
    private int _stride;        // from a row of a transposed matrix to the next

    // The tile: its queries, what they see, the width of a row, and where each branch begins in it.
    private Interval _queries;
    private readonly List<Segment> _segments = new(Kinds);
    private int _rows, _width;
    private readonly int[] _branchStart = new int[Branches + 1];

    /// <param name="call">What is computed.</param>
    /// <param name="number">Of which request.</param>
    /// <param name="heads">For which heads.</param>
    /// <param name="coefficientSums">[H, 3] to which the gradients of the coefficients are added.</param>
    public void Compute(in EvoAttentionKernel call, int number, Interval heads, Span<double> coefficientSums)
    {
        RequestPlan request = call.Plan.Requests[number];
        (_call, _plan, _request, _heads) = (call, call.Plan, request, heads);
        _padded = RoundUp(call.HeadDimension, Math.Max(Lanes, RowBlock));
        _columns = new RequestColumns(_plan, request, call.CandidatesOnly);
        _firstColumn = call.OfColumns ? _plan.FirstColumn[number] : 0;
        // A range of columns is read in whole vectors. An odd number of cache lines keeps the rows out of each other's place in the cache.
        _stride = (RoundUp(_columns.Count + Lanes, 16) / 16 | 1) * 16;
        GatherTimes();
        GatherColumns();
        if (!call.CandidatesOnly)
            ComputeQueries(request.Behaviors, coefficientSums);
        ComputeQueries(request.Candidates, coefficientSums);
        if (call.IsBackward)
            ScatterGradients();
    }

    /// <summary>Keeps the memory, but nothing of the call.</summary>
    public void Forget() => (_call, _plan) = (default, null!);

    private void ComputeQueries(Interval queries, Span<double> coefficientSums)
    {
        for (int first = queries.From; first < queries.To; first += TileSize)
        {
            PlaceTile(new(first, Math.Min(first + TileSize, queries.To)));
            ComputeFeatures();
            for (int head = _heads.From; head < _heads.To; head++)
            {
                if (_call.IsBackward)
                    Backward(head, coefficientSums.Slice(head * Features, Features));
                else
                    Forward(head);
            }
        }
    }

    // --- columns ---------------------------------------------------------------------------------------------------------------------

    private void GatherTimes()
    {
        _seconds.Reserve(_stride);
        _cosine.Reserve(_stride);
        _sine.Reserve(_stride);
        _weekend.Reserve(_stride);
        for (int chunk = _request.Chunks.From; chunk < _request.Chunks.To; chunk++)
        {
            GatherTime(chunk - _request.Chunks.From, _plan.Chunks[chunk].To - 1);
            GatherTimes(_plan.TransitionsOf(chunk), _columns.OfTransitions(chunk));
        }
        GatherTimes(_columns.Local, _columns.FirstLocal);
        GatherTimes(_request.Candidates, _columns.FirstCandidate);
        for (int column = _columns.Count; column < _stride; column++)
            (_seconds.Pointer[column], _cosine.Pointer[column], _sine.Pointer[column], _weekend.Pointer[column]) = (0, 0, 0, 0);
    }

    private void GatherTimes(Interval tokens, int column)
    {
        for (int token = tokens.From; token < tokens.To; token++, column++)
            GatherTime(column, token);
    }

    private void GatherTime(int column, int token)
    {
        // Exact up to 2⁵³; their differences become floats, not they themselves, which would be rounded to minutes.
        _seconds.Pointer[column] = _plan.Times[token];
        _cosine.Pointer[column] = _plan.HourCosine[token];
        _sine.Pointer[column] = _plan.HourSine[token];
        _weekend.Pointer[column] = _plan.Weekend[token];
    }

    private void GatherColumns()
    {
        float* keys = Columns(_call.KeysAndValues, out int stride);
        if (_call.IsBackward)
            Split(keys, stride, _keys);
        Transpose(keys, stride, _keysT);
        float* values = Columns(_call.KeysAndValues + _call.Dimension, out stride);
        if (_call.IsBackward)
        {
            Transpose(values, stride, _valuesT);
            ClearGradients(_keyGradients);
            ClearGradients(_valueGradients);
        }
        else
        {
            Split(values, stride, _values);
        }
    }

    private int Width => _heads.Count * _call.HeadDimension;

    /// <summary>The heads' part of the columns' keys or values.</summary>
    private float* Columns(float* keysOrValues, out int stride)
    {
        float* rows = keysOrValues + _heads.From * _call.HeadDimension;
        stride = _call.KeyStride;
        if (_call.OfColumns)
            return rows + _firstColumn * stride;
        _gathered.Reserve((long)_columns.Count * Width);
        _columns.Gather(rows, stride, _gathered.Pointer, Width, Width);
        stride = Width;
        return _gathered.Pointer;
    }

    private void Split(float* rows, int stride, NativeBuffer<float> matrices)
    {
        matrices.Reserve((long)_heads.Count * _columns.Count * _padded);
        float* to = matrices.Pointer;
        for (int head = 0; head < _heads.Count; head++)
        {
            float* from = rows + head * _call.HeadDimension;
            for (int column = 0; column < _columns.Count; column++, from += stride, to += _padded)
                CopyPadded(from, 1, to);
        }
    }

    private void Transpose(float* rows, int stride, NativeBuffer<float> transposed)
    {
        transposed.Reserve((long)_heads.Count * _padded * _stride);
        int size = _call.HeadDimension, columns = _columns.Count, toStride = _stride;
        for (int head = 0; head < _heads.Count; head++)
        {
            float* from = rows + head * size, to = transposed.Pointer + (long)head * _padded * toStride;
            for (int column = 0; column < columns; column++, from += stride)
            {
                for (int i = 0; i < size; i++)
                    to[i * toStride + column] = from[i];
            }
            for (int i = 0; i < _padded; i++)
                new Span<float>(to + i * toStride, toStride)[(i < size ? columns : 0)..].Clear();
        }
    }

    /// <summary>Gradients are added in blocks of rows: behind the last column are some more, to which zeros are added.</summary>
    private void ClearGradients(NativeBuffer<float> gradients)
    {
        long count = ((long)_heads.Count * _columns.Count + RowBlock) * _padded;
        gradients.Reserve(count);
        NativeMemory.Clear(gradients.Pointer, (nuint)count * sizeof(float));
    }

    private void ScatterGradients()
    {
        Scatter(_keyGradients, _call.KeysAndValuesGradient);
        Scatter(_valueGradients, _call.KeysAndValuesGradient + _call.Dimension);
    }

    /// <summary>Writes the gradients of the columns, or adds them to those of the tokens that they came from.</summary>
    private void Scatter(NativeBuffer<float> gradients, float* keysOrValues)
    {
        float* to = keysOrValues + _heads.From * _call.HeadDimension, from = gradients.Pointer;
        int stride = _call.OfColumns ? _call.KeyStride : Width;
        float* rows = _call.OfColumns ? to + _firstColumn * stride : _gathered.Pointer;
        for (int head = 0; head < _heads.Count; head++)
        {
            float* row = rows + head * _call.HeadDimension;
            for (int column = 0; column < _columns.Count; column++, row += stride, from += _padded)
                CopyScaled(from, 1, row, _call.HeadDimension);
        }
        if (!_call.OfColumns)
            _columns.Scatter(rows, stride, to, _call.KeyStride, Width);
    }

    private void CopyPadded(float* from, float scale, float* to)
    {
        CopyScaled(from, scale, to, _call.HeadDimension);
        for (int i = _call.HeadDimension; i < _padded; i++)
            to[i] = 0;
    }

    // --- a tile ----------------------------------------------------------------------------------------------------------------------

    private void PlaceTile(Interval queries)
    {
        _queries = queries;
        _rows = RoundUp(queries.Count, RowBlock);
        QueryPlan seen = _plan.Queries[queries.From];
        for (int query = queries.From + 1; query < queries.To; query++)
            seen = seen.Cover(_plan.Queries[query]);
        // A behavior is among its local behaviors; a candidate is a column of its own.
        Interval selves = queries.From >= _plan.BehaviorCount ? queries : default;
        _width = 0;
        _segments.Clear();
        for (int kind = 0; kind < Kinds; kind++)
        {
            if (kind is Transition or Window)
                _branchStart[kind / Transition] = _width;
            Interval columns = ColumnsOf(kind, seen, selves);
            if (columns.Count == 0)
                continue;
            var segment = new Segment(kind, columns.From, columns.Count, _width);
            _segments.Add(segment);
            _width = segment.End;
        }
        _branchStart[Branches] = _width;

        _hidden.Reserve(_rows * (long)_width);
        _features.Reserve(Features * _rows * (long)_width);
        _logits.Reserve(_rows * (long)_width);
        _logitGradients.Reserve(_rows * (long)_width);
        foreach (NativeBuffer<float> buffer in (ReadOnlySpan<NativeBuffer<float>>)[_query, _output, _queryGradient, _outputGradient])
            buffer.Reserve(TileSize * _padded);
    }

    /// <summary>The columns of one kind that a query sees, or any of a tile's.</summary>
    private Interval ColumnsOf(int kind, QueryPlan seen, Interval candidates)
    {
        if (kind == Window)
            return new(_columns.FirstLocal + seen.Local.From - _columns.Local.From, _columns.FirstLocal + seen.Local.To - _columns.Local.From);
        if (kind == Self)
        {
            int first = _columns.FirstCandidate - _request.Candidates.From;
            return new(first + candidates.From, first + candidates.To);
        }
        Interval chunks = seen.Chunks(kind % QueryPlan.ChunkKinds);
        if (chunks.Count == 0)
            return default;
        return kind < Transition
            ? new(chunks.From - _request.Chunks.From, chunks.To - _request.Chunks.From)
            : new(_columns.OfTransitions(chunks.From), _columns.OfTransitions(chunks.To));
    }

    /// <summary>What depends on times alone: RelTemporal's features of each pair, and −∞ where a query must not see the key.</summary>
    private void ComputeFeatures()
    {
        for (int row = 0; row < _queries.Count; row++)
        {
            int query = _queries.From + row;
            foreach (Segment segment in _segments)
            {
                Interval seen = ColumnsOf(segment.Kind, _plan.Queries[query], new(query, query + 1));
                Span<float> hidden = new(_hidden.Pointer + row * (long)_width + segment.Offset, segment.Width);
                hidden.Fill(float.NegativeInfinity);
                if (seen.Count > 0)
                    hidden.Slice(seen.From - segment.Column, seen.Count).Clear();
                ComputeFeaturesOf(query, row, segment);
            }
        }
    }

    private void ComputeFeaturesOf(int query, int row, Segment segment) => PairsOf(row).From(segment.Offset).Compute(
        new(_plan.Times[query], _plan.HourCosine[query], _plan.HourSine[query], _plan.Weekend[query]),
        new(_seconds.Pointer + segment.Column, _cosine.Pointer + segment.Column, _sine.Pointer + segment.Column, _weekend.Pointer + segment.Column),
        (float)(1 / _plan.Options.TimeScaleSeconds), segment.Width);

    /// <summary>What a query and all columns of the tile are to each other.</summary>
    private TemporalPairs PairsOf(int row) => new(_hidden.Pointer + row * (long)_width, Feature(0, row), Feature(1, row), Feature(2, row));

    private float* Feature(int feature, int row) => _features.Pointer + ((long)feature * _rows + row) * _width;

    private void Forward(int head)
    {
        float* scales = stackalloc float[TileSize * Branches];
        ComputeExponentials(head, scales);
        for (int row = 0; row < _queries.Count; row++)
        {
            for (int branch = 0; branch < Branches; branch++)
            {
                float* logits = InBranch(_logits, row, branch);
                CopyScaled(logits, *GateOf(_call.QueriesAndGates, row, branch, head) * scales[row * Branches + branch], logits, WidthOf(branch));
            }
        }
        Clear(_output, _rows * _padded);
        MultiplyByColumns(_logits, _values, head, _output);
        StoreRows(_output, 1, _call.Output, _call.OutputStride, head);
    }

    private void Backward(int head, Span<double> coefficientSums)
    {
        float* scales = stackalloc float[TileSize * Branches];
        ComputeExponentials(head, scales);
        LoadRows(_call.OutputGradient, _call.OutputStride, head, 1, _outputGradient);
        Clear(_logitGradients, _rows * _width);
        MultiplyByTransposed(_outputGradient, _valuesT, head, _logitGradients);
        ComputeLogitGradients(head, scales, coefficientSums);

        Clear(_queryGradient, _rows * _padded);
        MultiplyByColumns(_logitGradients, _keys, head, _queryGradient);
        StoreRows(_queryGradient, InverseRoot, _call.QueriesAndGatesGradient, _call.QueryStride, head);
        AddToColumns(_query, _logitGradients, head, _keyGradients);
        AddToColumns(_outputGradient, _logits, head, _valueGradients);
    }

    private float InverseRoot => 1 / MathF.Sqrt(_call.HeadDimension);

    /// <summary>q·k/√d_h and RelTemporal's bias.</summary>
    private void ComputeLogits(int head)
    {
        for (int row = 0; row < _queries.Count; row++)
            PairsOf(row).WriteBias(_call.Coefficients + head * Features, _logits.Pointer + row * (long)_width, _width);
        LoadRows(_call.QueriesAndGates, _call.QueryStride, head, InverseRoot, _query);
        MultiplyByTransposed(_query, _keysT, head, _logits);
    }

    /// <summary>Computes the probabilities but for a factor.</summary>
    /// <param name="head">Of which head.</param>
    /// <param name="scales">[8, 3] receives the factor of each row and branch.</param>
    private void ComputeExponentials(int head, float* scales)
    {
        // A softmax is the same whatever is subtracted from its logits. Nothing need be, and the largest not be looked for, as long as the sums are far from the
        // ends of what floats can hold.
        const float leastSum = 1e-25f, mostSum = 1e25f;
        ComputeLogits(head);
        bool areSums = true;
        for (int row = 0; row < _queries.Count; row++)
        {
            for (int branch = 0; branch < Branches; branch++)
            {
                float sum = Exponentiate(InBranch(_logits, row, branch), WidthOf(branch), ZeroTokenLogit(branch), top: 0);
                areSums &= sum is > leastSum and < mostSum;
                scales[row * Branches + branch] = 1 / sum;
            }
        }
        if (areSums)
            return;
        ComputeLogits(head);
        for (int row = 0; row < _queries.Count; row++)
        {
            for (int branch = 0; branch < Branches; branch++)
            {
                float* logits = InBranch(_logits, row, branch);
                float top = Largest(logits, WidthOf(branch), ZeroTokenLogit(branch));
                scales[row * Branches + branch] = 1 / Exponentiate(logits, WidthOf(branch), ZeroTokenLogit(branch), top);
            }
        }
    }

    /// <summary>The local branch has no zero token.</summary>
    private static float ZeroTokenLogit(int branch) => branch == Branches - 1 ? float.NegativeInfinity : 0;

    private int WidthOf(int branch) => _branchStart[branch + 1] - _branchStart[branch];

    private float* InBranch(NativeBuffer<float> tile, int row, int branch) => tile.Pointer + row * (long)_width + _branchStart[branch];

    private float* GateOf(float* queriesAndGates, int row, int branch, int head)
        => OfQuery(queriesAndGates, _call.QueryStride, row, head: 0) + _call.Dimension + branch * _call.Heads + head;

    /// <summary>
    /// Makes the gradients of gated probabilities those of the logits, and the exponentials gated probabilities. With p = softmax(s), y = Σ_j p_j·v_j and the
    /// output g·y, the gradient of g is D = Σ_j p_j·P_j, where P_j is the gradient of the output times v_j, and that of s_j is g·p_j·(P_j − D).
    /// </summary>
    private void ComputeLogitGradients(int head, float* scales, Span<double> coefficientSums)
    {
        for (int row = 0; row < _queries.Count; row++)
        {
            for (int branch = 0; branch < Branches; branch++)
            {
                *GateOf(_call.QueriesAndGatesGradient, row, branch, head) = scales[row * Branches + branch]
                    * Dot(InBranch(_logits, row, branch), InBranch(_logitGradients, row, branch), WidthOf(branch));
            }
        }

        Vector<float> logSum = Vector<float>.Zero, hourSum = Vector<float>.Zero, weekendSum = Vector<float>.Zero;
        for (int row = 0; row < _queries.Count; row++)
        {
            float* log = Feature(0, row), hour = Feature(1, row), weekend = Feature(2, row);
            float* probabilities = InBranch(_logits, row, 0), gradients = InBranch(_logitGradients, row, 0);
            for (int branch = 0; branch < Branches; branch++)
            {
                Vector<float> g = Vector.Create(*GateOf(_call.QueriesAndGates, row, branch, head) * scales[row * Branches + branch]);
                Vector<float> d = Vector.Create(*GateOf(_call.QueriesAndGatesGradient, row, branch, head));
                for (int i = _branchStart[branch], end = _branchStart[branch + 1]; i < end; i += Lanes)
                {
                    Vector<float> gated = g * Vector.Load(probabilities + i);
                    Vector<float> gradient = gated * (Vector.Load(gradients + i) - d);
                    gated.Store(probabilities + i);
                    gradient.Store(gradients + i);
                    logSum = Vector.MultiplyAddEstimate(gradient, Vector.Load(log + i), logSum);
                    hourSum = Vector.MultiplyAddEstimate(gradient, Vector.Load(hour + i), hourSum);
                    weekendSum = Vector.MultiplyAddEstimate(gradient, Vector.Load(weekend + i), weekendSum);
                }
            }
        }
        coefficientSums[0] += Vector.Sum(logSum);
        coefficientSums[1] += Vector.Sum(hourSum);
        coefficientSums[2] += Vector.Sum(weekendSum);
    }

    // --- the three products ----------------------------------------------------------------------------------------------------------

    /// <summary>tile += rows · transposed: for each query and column, a product over d_h.</summary>
    private void MultiplyByTransposed(NativeBuffer<float> rows, NativeBuffer<float> transposed, int head, NativeBuffer<float> tile)
    {
        float* matrix = transposed.Pointer + (long)(head - _heads.From) * _padded * _stride;
        foreach (Segment segment in _segments)
        {
            MultiplyAdd(_rows, _call.HeadDimension, segment.Width, rows.Pointer, _padded, 1, matrix + segment.Column, _stride,
                tile.Pointer + segment.Offset, _width);
        }
    }

    /// <summary>rows += tile · columns: for each query, a sum over what it sees.</summary>
    private void MultiplyByColumns(NativeBuffer<float> tile, NativeBuffer<float> columns, int head, NativeBuffer<float> rows)
    {
        float* matrix = columns.Pointer + (long)(head - _heads.From) * _columns.Count * _padded;
        foreach (Segment segment in _segments)
        {
            MultiplyAdd(_rows, segment.Count, _padded, tile.Pointer + segment.Offset, _width, 1, matrix + (long)segment.Column * _padded, _padded,
                rows.Pointer, _padded);
        }
    }

    /// <summary>columns += tileᵀ · rows: for each column, a sum over the queries.</summary>
    private void AddToColumns(NativeBuffer<float> rows, NativeBuffer<float> tile, int head, NativeBuffer<float> columns)
    {
        float* matrix = columns.Pointer + (long)(head - _heads.From) * _columns.Count * _padded;
        foreach (Segment segment in _segments)
        {
            MultiplyAdd(RoundUp(segment.Count, RowBlock), _queries.Count, _padded, tile.Pointer + segment.Offset, 1, _width,
                rows.Pointer, _padded, matrix + (long)segment.Column * _padded, _padded);
        }
    }

    private void LoadRows(float* matrix, int stride, int head, float scale, NativeBuffer<float> rows)
    {
        Clear(rows, _rows * _padded);
        for (int row = 0; row < _queries.Count; row++)
            CopyPadded(OfQuery(matrix, stride, row, head), scale, rows.Pointer + row * _padded);
    }

    private void StoreRows(NativeBuffer<float> rows, float scale, float* matrix, int stride, int head)
    {
        for (int row = 0; row < _queries.Count; row++)
            CopyScaled(rows.Pointer + row * _padded, scale, OfQuery(matrix, stride, row, head), _call.HeadDimension);
    }

    private float* OfQuery(float* matrix, int stride, int row, int head)
        => matrix + (long)_call.QueryOf(_queries.From + row) * stride + head * _call.HeadDimension;

    private static void Clear(NativeBuffer<float> buffer, int count) => new Span<float>(buffer.Pointer, count).Clear();
}
