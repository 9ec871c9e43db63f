using System.Buffers;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// EvoAttention (docs/model.md) from queries, keys, values and gates to what the heads put out, and the gradients of that, in managed SIMD
/// code: a value of this type is one call, which says what is computed and shares the work among threads; <see cref="RequestAttention"/> does it.
/// <para>
/// A piece of work is one request and some of its heads. No two pieces write the same number, and each sums in an order of its own, so that
/// results are the same to the last bit for any number of threads.
/// </para>
/// </summary>
internal readonly unsafe struct EvoAttentionKernel
{
    /// <summary>Pairs of tokens below which a second thread costs more than it does.</summary>
    private const long PairsPerThread = 20_000;

    private static readonly Pool<RequestAttention> s_attentions = new(() => new RequestAttention());

    public required EvoAttentionPlan Plan { get; init; }

    /// <summary>Whether the candidates are the only queries, as in the last block; otherwise all tokens are.</summary>
    public required bool CandidatesOnly { get; init; }

    /// <summary>Whether keys and values are given of the plan's <see cref="EvoAttentionPlan.FirstColumn">columns</see>, and not of the tokens.</summary>
    public bool OfColumns { get; init; }

    public required int Heads { get; init; }

    /// <summary>Floats per head, d_h.</summary>
    public required int HeadDimension { get; init; }

    /// <summary>d.</summary>
    public int Dimension => Heads * HeadDimension;

    /// <summary>From a query to the next; by default, and so below, nothing is between them.</summary>
    public int QueryStride { get => field > 0 ? field : Dimension + EvoAttentionLayout.Branches * Heads; init; }

    /// <summary>From a key to the next.</summary>
    public int KeyStride { get => field > 0 ? field : 2 * Dimension; init; }

    /// <summary>From an output to the next.</summary>
    public int OutputStride { get => field > 0 ? field : Dimension; init; }

    /// <summary>Threads, at most; as many as the process computes with where it is not said.</summary>
    public int MaximumThreads { get => field > 0 ? field : int.MaxValue; init; }

    /// <summary>[queries, d + 3·H] the queries, and behind each its gates [3, H], between 0 and 1.</summary>
    public required float* QueriesAndGates { get; init; }

    /// <summary>[tokens or columns, 2·d] the keys, and behind each its value.</summary>
    public required float* KeysAndValues { get; init; }

    /// <summary>[H, 3] RelTemporal's −a, b and c.</summary>
    public required float* Coefficients { get; init; }

    /// <summary>[queries, d], written by the forward pass.</summary>
    public float* Output { get; init; }

    /// <summary>
    /// [queries, d]; null in the forward pass. Where it is given, the gradients of all inputs are written: those of keys and values of tokens are added
    /// to what is there, which should be zeros.
    /// </summary>
    public float* OutputGradient { get; init; }

    public float* QueriesAndGatesGradient { get; init; }
    public float* KeysAndValuesGradient { get; init; }
    public float* CoefficientGradient { get; init; }

    public bool IsBackward => OutputGradient != null;

    /// <summary>The row of a token's query in queries, gates and outputs.</summary>
    public int QueryOf(int token) => CandidatesOnly ? token - Plan.BehaviorCount : token;

    /// <summary>Computes <see cref="Output"/> or, where <see cref="OutputGradient"/> is given, the gradients.</summary>
    public void Run()
    {
        (long all, long largest) = CountPairs();
        int threads = Math.Min(MaximumThreads, ThreadCount.For(all, PairsPerThread));
        // Where a request is more than half of a thread's share, its heads are shared out, but no further than among the threads: heads of one
        // piece share what depends on times alone.
        int most = Math.Min(Heads, threads);
        var parts = (int)Math.Clamp(Math.Ceiling(2.0 * threads * largest / Math.Max(all, 1)), 1, most);
        int sums = Plan.Requests.Length * Heads * 3;
        double[] coefficientSums = ArrayPool<double>.Shared.Rent(sums);
        Array.Clear(coefficientSums);

        if (threads == 1)
        {
            int next = 0;
            Work(parts, ref next, coefficientSums);
        }
        else
        {
            WorkInParallel(threads, parts, coefficientSums);
        }

        if (IsBackward)
        {
            for (int i = 0; i < Heads * 3; i++)
            {
                double sum = 0;
                for (int place = i; place < sums; place += Heads * 3)
                    sum += coefficientSums[place];
                CoefficientGradient[i] = (float)sum;
            }
        }
        ArrayPool<double>.Shared.Return(coefficientSums);
    }

    /// <summary>Apart, because it allocates.</summary>
    private void WorkInParallel(int threads, int parts, double[] coefficientSums)
    {
        EvoAttentionKernel call = this;
        int next = 0;
        Parallel.For(0, threads, _ => call.Work(parts, ref next, coefficientSums));
    }

    /// <summary>Computes piece after piece, of those that are left.</summary>
    private void Work(int parts, ref int next, double[] coefficientSums)
    {
        RequestAttention attention = s_attentions.Rent();
        for (int piece; (piece = Interlocked.Increment(ref next) - 1) < Plan.Requests.Length * parts;)
        {
            int request = Plan.LargestFirst[piece / parts], part = piece % parts;
            Interval heads = new(Heads * part / parts, Heads * (part + 1) / parts);
            attention.Compute(this, request, heads, coefficientSums.AsSpan(request * Heads * 3, Heads * 3));
        }
        attention.Forget();
        s_attentions.Return(attention);
    }

    /// <summary>The pairs of a query and a key in all requests, and in the largest one; a token that is only read counts as one.</summary>
    private (long All, long Largest) CountPairs()
    {
        long all = 0, largest = 0;
        foreach (RequestPlan request in Plan.Requests)
        {
            long pairs = request.Behaviors.Count + PairsOf(request.Candidates) + (CandidatesOnly ? 0 : PairsOf(request.Behaviors));
            all += pairs;
            largest = Math.Max(largest, pairs);
        }
        return (all, largest);
    }

    private long PairsOf(Interval queries)
    {
        long pairs = 0;
        for (int token = queries.From; token < queries.To; token++)
        {
            QueryPlan query = Plan.Queries[token];
            pairs += query.Local.Count;
            for (int kind = 0; kind < QueryPlan.ChunkKinds; kind++)
                pairs += query.Chunks(kind).Count + Plan.TransitionCount(query.Chunks(kind));
        }
        return pairs;
    }
}
