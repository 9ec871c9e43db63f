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
internal class BatchPlan
{
    public BatchPlan(IReadOnlyList<Request> requests)
    {
        var pasts = new List<Interval>();
        foreach (Request request in requests)
        {
            foreach (Impression impression in request.Impressions)
                pasts.Add(new(BehaviorCount, BehaviorCount + impression.PastLength));
            BehaviorCount += request.HistoryTimestamps.Length;
        }
        Pasts = pasts.ToArray();
    }

    /// <summary>The behaviors that came before each candidate: all that it may see.</summary>
    public Interval[] Pasts { get; }

    public int BehaviorCount { get; }

    public int CandidateCount => Pasts.Length;

    public int TokenCount => BehaviorCount + CandidateCount;
}
