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
    public static IEnumerable<Request> JoinSameHistories(this IEnumerable<Request> requests)
    {
        Request? joined = null;
        foreach (Request request in requests)
        {
            if (joined is not null && joined.Impressions.Count < TokensPerPass && joined.HasSameHistoryAs(request))
            {
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
