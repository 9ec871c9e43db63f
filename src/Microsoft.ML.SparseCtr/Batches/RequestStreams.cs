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
    /// Yields the requests in random order, but those that share a history in runs of up to <paramref name="runLength"/>, oldest first: so
    /// <see cref="Join"/> makes one request of each run. At most <paramref name="poolSize"/> requests are held and compared.
    /// </summary>
    public static IEnumerable<Request> ShuffleInRuns(this IEnumerable<Request> requests, int poolSize, int runLength, Random random)
    {
        foreach (Request[] pool in requests.Chunk(poolSize))
        {
            var runs = new List<Request[]>();
            foreach (List<Request> group in GroupByHistory(pool))
            {
                Request[] members = group.ToArray();
                random.Shuffle(members);
                // Runs of equal length rather than full ones and a rest.
                int count = (members.Length + runLength - 1) / runLength;
                for (int run = 0; run < count; run++)
                    runs.Add(members[(members.Length * run / count)..(members.Length * (run + 1) / count)]);
            }
            Request[][] shuffled = runs.ToArray();
            random.Shuffle(shuffled);
            foreach (Request[] run in shuffled)
            {
                Request[] oldestFirst = run.OrderBy(request => request.Impressions[0].PastLength).ToArray();
                Request longest = oldestFirst[^1].OverItsPast();
                foreach (Request request in oldestFirst)
                    yield return request.Over(longest);
            }
        }
    }

    /// <summary>Yields the requests in runs of those that share a history, oldest first, holding at most <paramref name="poolSize"/> of them.</summary>
    public static IEnumerable<Request> InRuns(this IEnumerable<Request> requests, int poolSize)
        => requests.Chunk(poolSize).SelectMany(pool => GroupByHistory(pool).SelectMany(group => group.OrderBy(request => request.Impressions[0].PastLength)));

    /// <summary>Requests whose histories are the beginnings of one, in groups; all of a group get that one.</summary>
    private static List<List<Request>> GroupByHistory(Request[] requests)
    {
        var groups = new List<List<Request>>();
        // Different users may begin alike, so that there can be several groups of one beginning.
        var byBeginning = new Dictionary<(long, int), List<List<Request>>>();
        foreach (Request request in requests)
        {
            (long, int) beginning = request.HistoryTimestamps.Length == 0 ? (-1, 0) : (request.HistoryTimestamps[0], request.HistoryKeys[0][0]);
            if (!byBeginning.TryGetValue(beginning, out List<List<Request>>? candidates))
                byBeginning.Add(beginning, candidates = []);
            List<Request>? group = candidates.Find(members => members[^1].BeginsAs(request));
            if (group is null)
            {
                groups.Add(group = []);
                candidates.Add(group);
            }
            // The last of a group always has its longest history.
            group.Add(group.Count > 0 && group[^1].HistoryTimestamps.Length > request.HistoryTimestamps.Length ? request.Over(group[^1]) : request);
        }
        foreach (List<Request> group in groups)
        {
            for (int i = 0; i < group.Count; i++)
                group[i] = group[i].Over(group[^1]);
        }
        return groups;
    }

    /// <summary>
    /// Runs a sequence on a thread of its own, at most so many elements ahead of who reads it. Its exceptions come out where it is read; who
    /// stops reading stops it.
    /// </summary>
    public static IEnumerable<T> OnItsOwnThread<T>(this IEnumerable<T> sequence, int elementsAhead)
    {
        using var queue = new BlockingCollection<T>(elementsAhead);
        using var stop = new CancellationTokenSource();
        Task running = Task.Factory.StartNew(() =>
        {
            try
            {
                foreach (T element in sequence)
                    queue.Add(element, stop.Token);
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
            running.ContinueWith(_ => { }, TaskScheduler.Default).Wait();
        }
    }

    /// <summary>Makes one request of consecutive ones with the same history: their order of impressions stays.</summary>
    /// <param name="requests">The requests.</param>
    /// <param name="withBeginnings">Whether it is enough that one's history is the beginning of the other's.</param>
    public static IEnumerable<Request> Join(this IEnumerable<Request> requests, bool withBeginnings)
    {
        Request? joined = null;
        foreach (Request request in requests)
        {
            if (joined is not null && joined.Impressions.Count < TokensPerPass && (withBeginnings ? joined.BeginsAs(request) : joined.HasSameHistoryAs(request)))
            {
                if (request.HistoryTimestamps.Length > joined.HistoryTimestamps.Length)
                    joined = joined.Over(request);
                joined.Impressions.AddRange(request.Impressions);
                continue;
            }
            if (joined is not null)
                yield return joined;
            joined = request;
        }
        if (joined is not null)
            yield return joined;
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
