using System.Collections.Concurrent;

namespace Microsoft.ML.SparseCtr;

/// <summary>Streams of requests: shuffled, joined, and cut into what passes through the network at once.</summary>
internal static class RequestStreams
{
    /// <summary>Tokens that pass through the network at once.</summary>
    private const int TokensPerPass = 16_384;

    /// <summary>
    /// Yields the requests in random order, holding at most <paramref name="poolSize"/> of them: a stream that fits the pool is shuffled
    /// completely, a longer one locally.
    /// </summary>
    public static IEnumerable<Request> Shuffle(this IEnumerable<Request> requests, int poolSize, Random random)
    {
        var pool = new List<Request>();
        foreach (Request request in requests)
        {
            if (pool.Count < poolSize)
            {
                pool.Add(request);
                continue;
            }
            int place = random.Next(poolSize);
            Request drawn = pool[place];
            pool[place] = request;
            yield return drawn;
        }
        Request[] rest = pool.ToArray();
        random.Shuffle(rest);
        foreach (Request request in rest)
            yield return request;
    }

    /// <summary>
    /// Yields the requests in random order, but those that share a history in runs of up to <paramref name="runLength"/>, oldest first and all with
    /// that history: so that <see cref="JoinRuns"/> makes one request of each run. At most <paramref name="poolSize"/> requests are held and compared.
    /// </summary>
    public static IEnumerable<Request> ShuffleInRuns(this IEnumerable<Request> requests, int poolSize, int runLength, Random random)
    {
        foreach (IEnumerable<Request[]> groups in requests.GroupByHistory(poolSize, withBeginnings: true))
        {
            var runs = new List<Request[]>();
            foreach (Request[] members in groups)
            {
                random.Shuffle(members);
                // Runs of equal length rather than full ones and a rest.
                int count = (members.Length + runLength - 1) / runLength;
                for (int run = 0; run < count; run++)
                    runs.Add(OldestFirst(members[(members.Length * run / count)..(members.Length * (run + 1) / count)]));
            }
            Request[][] shuffled = runs.ToArray();
            random.Shuffle(shuffled);
            foreach (Request[] run in shuffled)
            {
                // A history of its own is what a run is known by.
                Request longest = run[^1].OverItsPast();
                foreach (Request request in run)
                    yield return longest.With(request.Impressions);
            }
        }
    }

    /// <summary>Makes one request of each run of <see cref="ShuffleInRuns"/>, or of a part of one, with no more of the history than it sees.</summary>
    public static IEnumerable<Request> JoinRuns(this IEnumerable<Request> requests, int runLength)
    {
        var run = new List<Request>();
        foreach (Request request in requests)
        {
            if (run.Count == runLength || (run.Count > 0 && request.HistoryTimestamps != run[0].HistoryTimestamps))
            {
                yield return Join(run);
                run.Clear();
            }
            run.Add(request);
        }
        if (run.Count > 0)
            yield return Join(run);
    }

    /// <summary>Makes one request of those with the same history, of so many requests at a time, which it may put in another order.</summary>
    /// <param name="requests">The requests.</param>
    /// <param name="poolSize">Requests that are compared.</param>
    /// <param name="withBeginnings">Whether it is enough that histories are the beginnings of one.</param>
    public static IEnumerable<Request> JoinByHistory(this IEnumerable<Request> requests, int poolSize, bool withBeginnings)
        => requests.GroupByHistory(poolSize, withBeginnings).SelectMany(groups => groups).SelectMany(group => OldestFirst(group).Chunk(TokensPerPass).Select(Join));

    /// <summary>Groups requests, of so many at a time, whose histories are the same, or the beginnings of one: each request of a group gets the longest of them.</summary>
    private static IEnumerable<IEnumerable<Request[]>> GroupByHistory(this IEnumerable<Request> requests, int poolSize, bool withBeginnings)
    {
        var groups = new HistoryGroups(withBeginnings);
        foreach (Request request in requests)
        {
            groups.Add(request);
            if (groups.Requests < poolSize)
                continue;
            yield return groups.All;
            groups = new HistoryGroups(withBeginnings);
        }
        if (groups.Requests > 0)
            yield return groups.All;
    }

    /// <summary>Requests by their histories. Of each group the longest history alone is kept: the memory of the others is free as soon as they have come.</summary>
    private sealed class HistoryGroups(bool withBeginnings)
    {
        private sealed class Group
        {
            public required Request Longest { get; set; }
            public List<List<Impression>> Members { get; } = [];
        }

        private readonly List<Group> _groups = [];

        // Different users may begin alike, so that there can be several groups of one beginning.
        private readonly Dictionary<(long, int), List<Group>> _byBeginning = [];

        /// <summary>How many there are.</summary>
        public int Requests { get; private set; }

        /// <summary>In the order in which each group's first came.</summary>
        public IEnumerable<Request[]> All => _groups.Select(group => group.Members.Select(group.Longest.With).ToArray());

        public void Add(Request request)
        {
            Requests++;
            (long, int) beginning = request.HistoryTimestamps.Length == 0 ? (-1, 0) : (request.HistoryTimestamps[0], request.HistoryKeys[0][0]);
            if (!_byBeginning.TryGetValue(beginning, out List<Group>? candidates))
                _byBeginning.Add(beginning, candidates = []);
            Group? group = candidates.Find(each => withBeginnings ? each.Longest.BeginsAs(request) : each.Longest.HasSameHistoryAs(request));
            if (group is null)
            {
                group = new Group { Longest = request };
                _groups.Add(group);
                candidates.Add(group);
            }
            else if (request.HistoryTimestamps.Length > group.Longest.HistoryTimestamps.Length)
            {
                group.Longest = request;
            }
            group.Members.Add(request.Impressions);
        }
    }

    /// <summary>One request of some, the oldest first, with no more of their history than they see.</summary>
    private static Request Join(IReadOnlyList<Request> requests)
    {
        Request latest = requests[^1];
        bool isPart = latest.Impressions[0].PastLength < latest.HistoryTimestamps.Length;
        return (isPart ? latest.OverItsPast() : latest).With(requests.SelectMany(request => request.Impressions).ToList());
    }

    private static Request[] OldestFirst(IEnumerable<Request> requests) => requests.OrderBy(request => request.Impressions[0].PastLength).ToArray();

    /// <summary>
    /// Runs a sequence on a thread of its own, at most so many elements ahead of who reads it. Its exceptions come out where it is read; who
    /// stops reading stops it.
    /// </summary>
    /// <param name="sequence">The sequence.</param>
    /// <param name="elementsAhead">How far it may be ahead.</param>
    /// <param name="onUnread">Told of each element that no one will read.</param>
    public static IEnumerable<T> OnItsOwnThread<T>(this IEnumerable<T> sequence, int elementsAhead, Action<T>? onUnread = null)
    {
        using var queue = new BlockingCollection<T>(elementsAhead);
        using var stop = new CancellationTokenSource();
        Task running = Task.Factory.StartNew(() =>
        {
            try
            {
                foreach (T element in sequence)
                {
                    if (!TryAdd(element))
                    {
                        onUnread?.Invoke(element);
                        return;
                    }
                }
            }
            finally
            {
                queue.CompleteAdding();
            }
        }, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        try
        {
            foreach (T element in queue.GetConsumingEnumerable())
                yield return element;
            running.GetAwaiter().GetResult();
        }
        finally
        {
            stop.Cancel();
            // The sequence must have ended before its queue is disposed; what it threw has come out above, or no one reads any more.
            running.ContinueWith(ended => ended.Exception, TaskScheduler.Default).Wait();
            while (queue.TryTake(out T? unread))
                onUnread?.Invoke(unread);
        }

        bool TryAdd(T element)
        {
            try
            {
                queue.Add(element, stop.Token);
                return true;
            }
            catch (OperationCanceledException)
            {
                return false;
            }
        }
    }

    /// <summary>Consecutive requests of together about as many tokens as pass through the network at once.</summary>
    public static IEnumerable<List<Request>> InPasses(this IEnumerable<Request> requests)
    {
        var pass = new List<Request>();
        int tokens = 0;
        foreach (Request request in requests)
        {
            int more = request.HistoryTimestamps.Length + request.Impressions.Count;
            if (pass.Count > 0 && tokens + more > TokensPerPass)
            {
                yield return pass;
                (pass, tokens) = ([], 0);
            }
            pass.Add(request);
            tokens += more;
        }
        if (pass.Count > 0)
            yield return pass;
    }
}
