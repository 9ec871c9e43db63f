namespace Microsoft.ML.SparseCtr.Benchmarks;

/// <summary>The network that attention and training are measured with, and random requests for it.</summary>
internal static class BenchmarkRequests
{
    public static SparseCtrTrainer.Options Sizes { get; } = new()
    {
        HistoryLength = 100_000,
        ModelDimension = 64,
        NumberOfBlocks = 2,
        NumberOfChunks = 32,
        Chunking = ChunkingPolicy.LargestGaps,
        TransitionBehaviors = 2,
        LocalWindow = 64,
    };

    public static CtrConfig Config { get; } = new()
    {
        SequenceFields = [new KeyField("Item", "Item", "HistoryItem", 1_682), new KeyField("Rating", null, "HistoryRating", 5)],
        CandidateFields = [],
        UserFields = [new KeyField("User", "User", null, 943)],
        NumericFields = [],
        Options = Sizes,
    };

    /// <summary>Requests of n tokens each: n − 1 behaviors and one candidate.</summary>
    public static Request[] Batch(int n, int requests) => Enumerable.Range(0, requests).Select(seed => Random(n - 1, seed)).ToArray();

    /// <summary>A request with one candidate, whose behaviors come in bursts.</summary>
    public static Request Random(int events, int seed)
    {
        var random = new Random(seed);
        var times = new long[events];
        long time = 1_600_000_000;
        for (int i = 0; i < events; i++)
            times[i] = time += random.Next(10) == 0 ? random.Next(200_000) : random.Next(120);
        return new Request
        {
            HistoryTimestamps = times,
            HistoryKeys = [.. Config.SequenceFields.Select(field => Enumerable.Range(0, events).Select(_ => random.Next(field.KeyCount + 1)).ToArray())],
            Impressions =
            [
                new Impression
                {
                    SequenceKeys = Config.SequenceFields.Select(field => field.ColumnName is null ? field.CandidateKey : random.Next(field.KeyCount + 1)).ToArray(),
                    CandidateKeys = [],
                    UserKeys = [[1 + random.Next(943)]],
                    Numbers = [],
                    Timestamp = time + 600,
                    PastLength = events,
                    Label = random.Next(2),
                },
            ],
        };
    }

    public static EvoAttentionPlan PlanOf(Request[] requests) => EvoAttentionPlan.Create(requests, Sizes);

    /// <summary>A batch of requests of the same length as another program takes it: all of one kind together, the candidate behind its history.</summary>
    public static object Plain(Request[] requests) => new
    {
        times = requests.Select(request => request.HistoryTimestamps.Append(request.Impressions[0].Timestamp)),
        keys = Config.SequenceFields.Select((_, field) => requests.Select(request => request.HistoryKeys[field].Append(request.Impressions[0].SequenceKeys[field]))),
        users = Config.UserFields.Select((_, field) => requests.Select(request => request.Impressions[0].UserKeys[field].Single())),
        labels = requests.Select(request => request.Impressions[0].Label),
    };
}
