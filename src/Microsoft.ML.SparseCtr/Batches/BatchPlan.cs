using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>The numbers From, From + 1 and so on, up to but not including To.</summary>
internal readonly record struct Interval(int From, int To)
{
    public int Count => To - From;

    public bool Contains(int number) => number >= From && number < To;

    /// <summary>The smallest interval that holds both; an empty one has nothing to hold.</summary>
    public Interval Cover(Interval other) => Count == 0 ? other : other.Count == 0 ? this : new(Math.Min(From, other.From), Math.Max(To, other.To));

    /// <summary>The last so many of the numbers, or all.</summary>
    public Interval Last(int count) => new(Math.Max(From, To - count), To);
}

/// <summary>
/// Which tokens of a packed batch are whose: first come the behaviors of all requests, request after request, then the candidates of all requests
/// in the same order. A network that needs to know more of a batch derives its own plan.
/// </summary>
internal class BatchPlan : IDisposable
{
    public BatchPlan(IReadOnlyList<Request> requests) : this() => FillPasts([.. requests]);

    /// <summary>A plan of nothing yet.</summary>
    protected BatchPlan()
    {
    }

    /// <summary>
    /// The behaviors that came before each candidate: all that it may see. Like the arrays of derived plans, it may be longer than what it is of where the plan
    /// has been filled again.
    /// </summary>
    public Interval[] Pasts { get; private set; } = [];

    public int BehaviorCount { get; private set; }

    public int CandidateCount { get; private set; }

    public int TokenCount => BehaviorCount + CandidateCount;

    /// <summary>Sends a device what it needs to know; nothing to the CPU.</summary>
    public virtual void SendTo(Device device)
    {
    }

    /// <summary>Frees what has been sent.</summary>
    public virtual void Dispose()
    {
    }

    /// <summary>Numbers the tokens of requests, in the memory of those that were planned before.</summary>
    protected void FillPasts(ReadOnlySpan<Request> requests)
    {
        (BehaviorCount, CandidateCount) = (0, 0);
        foreach (Request request in requests)
            CandidateCount += request.Impressions.Count;
        Pasts = Room(Pasts, CandidateCount);
        int candidate = 0;
        foreach (Request request in requests)
        {
            foreach (Impression impression in request.Impressions)
                Pasts[candidate++] = new(BehaviorCount, BehaviorCount + impression.PastLength);
            BehaviorCount += request.HistoryTimestamps.Length;
        }
    }

    /// <summary>The array, or one of just so many elements where it has fewer.</summary>
    protected static T[] Room<T>(T[] array, int count) => array.Length >= count ? array : new T[count];
}
