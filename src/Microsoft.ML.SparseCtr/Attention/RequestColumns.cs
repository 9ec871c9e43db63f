using static Microsoft.ML.SparseCtr.SmallMatrix;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// The keys that the queries of a request see, as the columns of one matrix: its chunks, their last behaviors, the local behaviors and the candidates. So whatever
/// a query sees are a few ranges of columns.
/// </summary>
internal readonly unsafe struct RequestColumns
{
    private readonly EvoAttentionPlan _plan;
    private readonly RequestPlan _request;
    private readonly int _firstTransition;

    /// <param name="plan">Who sees whom.</param>
    /// <param name="request">The request.</param>
    /// <param name="candidatesOnly">Whether the candidates are the only queries.</param>
    public RequestColumns(EvoAttentionPlan plan, RequestPlan request, bool candidatesOnly)
    {
        (_plan, _request) = (plan, request);
        Local = candidatesOnly ? default : request.Behaviors;
        for (int token = request.Candidates.From; token < request.Candidates.To; token++)
            Local = Local.Cover(plan.Queries[token].Local);
        _firstTransition = request.Chunks.Count;
        FirstLocal = OfTransitions(request.Chunks.To);
        FirstCandidate = FirstLocal + Local.Count;
        Count = FirstCandidate + request.Candidates.Count;
    }

    /// <summary>The behaviors that are columns of their own.</summary>
    public Interval Local { get; }

    public int FirstLocal { get; }

    public int FirstCandidate { get; }

    public int Count { get; }

    /// <summary>The first column of a chunk's transitions.</summary>
    public int OfTransitions(int chunk) => _firstTransition + _plan.FirstTransition[chunk] - _plan.FirstTransition[_request.Chunks.From];

    /// <summary>Writes the column of each token, and the means of each chunk's.</summary>
    /// <param name="tokens">A row of each token of the batch.</param>
    /// <param name="tokenStride">From one to the next.</param>
    /// <param name="columns">Receives the columns, a row of each.</param>
    /// <param name="columnStride">From one to the next.</param>
    /// <param name="width">Numbers in a row.</param>
    public void Gather(float* tokens, int tokenStride, float* columns, int columnStride, int width)
    {
        for (int chunk = _request.Chunks.From; chunk < _request.Chunks.To; chunk++)
        {
            // First the sums: one that grew out of another adds to that one's.
            float* sum = columns + (long)(chunk - _request.Chunks.From) * columnStride;
            if (_plan.Continues(chunk, _request))
                CopyScaled(sum - columnStride, 1, sum, width);
            else
                new Span<float>(sum, width).Clear();
            Interval added = _plan.AddedTo(chunk, _request);
            for (int token = added.From; token < added.To; token++)
                AddScaled(tokens + (long)token * tokenStride, 1, sum, width);
            Copy(_plan.TransitionsOf(chunk), OfTransitions(chunk));
        }
        for (int chunk = _request.Chunks.From; chunk < _request.Chunks.To; chunk++)
        {
            float* sum = columns + (long)(chunk - _request.Chunks.From) * columnStride;
            CopyScaled(sum, 1f / _plan.Chunks[chunk].Count, sum, width);
        }
        Copy(Local, FirstLocal);
        Copy(_request.Candidates, FirstCandidate);

        void Copy(Interval range, int column)
            => CopyRows(tokens + (long)range.From * tokenStride, tokenStride, range.Count, width, columns + (long)column * columnStride, columnStride);
    }

    /// <summary>Adds the gradients of the columns to those of the tokens that they came from. Those of the columns are written over.</summary>
    public void Scatter(float* columns, int columnStride, float* tokens, int tokenStride, int width)
    {
        for (int chunk = _request.Chunks.From; chunk < _request.Chunks.To; chunk++)
        {
            float* gradient = columns + (long)(chunk - _request.Chunks.From) * columnStride;
            CopyScaled(gradient, 1f / _plan.Chunks[chunk].Count, gradient, width);
        }
        // The last first: the behaviors of a chunk get the gradients of those that grew out of it too.
        for (int chunk = _request.Chunks.To - 1; chunk >= _request.Chunks.From; chunk--)
        {
            float* gradient = columns + (long)(chunk - _request.Chunks.From) * columnStride;
            Interval added = _plan.AddedTo(chunk, _request);
            for (int token = added.From; token < added.To; token++)
                AddScaled(gradient, 1, tokens + (long)token * tokenStride, width);
            if (_plan.Continues(chunk, _request))
                AddScaled(gradient, 1, gradient - columnStride, width);
            Add(_plan.TransitionsOf(chunk), OfTransitions(chunk));
        }
        Add(Local, FirstLocal);
        Add(_request.Candidates, FirstCandidate);

        void Add(Interval range, int column)
        {
            for (int i = 0; i < range.Count; i++)
                AddScaled(columns + (long)(column + i) * columnStride, 1, tokens + (long)(range.From + i) * tokenStride, width);
        }
    }
}
