namespace Microsoft.ML.SparseCtr;

internal static class RequestShuffler
{
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
}
