using TorchSharp;

namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>Small networks with random weights, and random or awkward requests for them.</summary>
internal static class TestRequests
{
    public const int Now = 1_700_000_000;

    public static SparseCtrTrainer.Options Sizes { get; } = Small(new SparseCtrTrainer.Options
    {
        NumberOfChunks = 5,
        Chunking = ChunkingPolicy.LargestGaps,
        TransitionBehaviors = 2,
        LocalWindow = 4,
    });

    /// <summary>One of each network, and of each kind of chunks.</summary>
    public static IReadOnlyDictionary<string, CtrTrainerOptions> Networks { get; } = new Dictionary<string, CtrTrainerOptions>
    {
        ["SparseCtr"] = Sizes,
        ["SparseCtr with causal chunks"] = Sizes with { Chunking = ChunkingPolicy.Causal, HistoryLength = 60 },
        ["SparseCtr with equal chunks"] = Sizes with { Chunking = ChunkingPolicy.EqualCounts, HistoryLength = 60 },
        ["DenseAttention"] = Small(new DenseAttentionTrainer.Options()),
        ["TargetAttention"] = Small(new TargetAttentionTrainer.Options { LocalWindow = 4 }),
        ["Eta"] = Small(new EtaTrainer.Options { RetrievedBehaviors = 3, LocalWindow = 4 }),
        ["Eta with two words"] = Small(new EtaTrainer.Options { RetrievedBehaviors = 3, LocalWindow = 1, FingerprintBits = 128 }),
    };

    public static TheoryData<string> NamesOfNetworks => new(Networks.Keys);

    private static T Small<T>(T options) where T : CtrTrainerOptions
    {
        (options.HistoryLength, options.EmbeddingDimension, options.ModelDimension, options.NumberOfHeads, options.HeadDimension) = (10_000, 4, 8, 2, 5);
        (options.Dropout, options.TokenDropout) = (0, 0);
        if (options is SelfAttentionOptions blocks)
            (blocks.NumberOfBlocks, blocks.FeedForwardDimension, blocks.TimeScaleSeconds, blocks.UtcOffsetHours) = (2, 6, 60, 5.5);
        return options;
    }

    public static CtrConfig Config { get; } = new()
    {
        SequenceFields = [new KeyField("Item", "Item", "HistoryItem", 50), new KeyField("Brand", "Brand", "HistoryBrand", 5), new KeyField("Action", null, "HistoryAction", 3)],
        CandidateFields = [new KeyField("Tags", "Tags", null, 7)],
        UserFields = [new KeyField("Gender", "Gender", null, 2)],
        NumericFields = [new NumericField("Rates", [0.5f, 2f], [0.1f, 3f])],
        Options = Sizes,
    };

    /// <summary>The same with fewer rows than keys in every table but the smallest.</summary>
    public static CtrConfig Hashed { get; } = Config with
    {
        SequenceFields = [.. Config.SequenceFields.Select(HashedTo2)],
        CandidateFields = [.. Config.CandidateFields.Select(HashedTo2)],
        UserFields = [.. Config.UserFields.Select(HashedTo2)],
    };

    private static KeyField HashedTo2(KeyField field) => field with { MaximumTableRows = 2 };

    /// <summary>The same inputs for another network.</summary>
    public static CtrConfig With(this CtrConfig config, CtrTrainerOptions options) => config with { Options = options };

    /// <summary>The same inputs for one of <see cref="Networks"/>.</summary>
    public static CtrConfig With(this CtrConfig config, string network) => config.With(Networks[network]);

    /// <summary>A network whose weights, RelTemporal's coefficients included, are all random and far from their initial values.</summary>
    public static CtrNetwork Network(CtrConfig config, int seed = 1, torch.ScalarType dtype = torch.ScalarType.Float64)
    {
        torch.manual_seed(seed);
        CtrNetwork network = config.Options.CreateNetwork(config);
        network.to(dtype);
        using IDisposable noGradient = torch.no_grad();
        foreach (torch.Tensor parameter in network.parameters())
            parameter.normal_(0, 0.5);
        network.eval();
        return network;
    }

    public static Request Request(int events, int candidates, int seed = 1, Func<Random, long>? gap = null)
    {
        var random = new Random(seed);
        gap ??= _ => random.Next(4) == 0 ? random.Next(200_000) : random.Next(60);
        var times = new long[events];
        long time = Now;
        for (int i = events - 1; i >= 0; i--)
            times[i] = time -= gap(random);
        return new Request
        {
            HistoryTimestamps = times,
            HistoryKeys = Config.SequenceFields.Select(field => Enumerable.Range(0, events).Select(_ => random.Next(field.KeyCount + 1)).ToArray()).ToArray(),
            Impressions = Enumerable.Range(0, candidates).Select(_ => Candidate(random, events)).ToList(),
        };
    }

    /// <summary>A history with candidates in its midst, each a quarter of an hour after the last behavior of its past.</summary>
    public static Request Shared(int events, int[] pasts, int seed = 1, Func<Random, long>? gap = null)
    {
        Request request = Request(events, 0, seed, gap);
        var random = new Random(~seed);
        foreach (int past in pasts)
            request.Impressions.Add(Candidate(random, past, past == 0 ? Now : request.HistoryTimestamps[past - 1] + 900));
        return request;
    }

    /// <summary>What a shared request stands for: each candidate with a history of its own.</summary>
    public static Request[] OneByOne(Request shared) => shared.Impressions.Select(impression => new Request
    {
        HistoryTimestamps = shared.HistoryTimestamps[..impression.PastLength],
        HistoryKeys = shared.HistoryKeys.Select(keys => keys[..impression.PastLength]).ToArray(),
        Impressions = [impression],
    }).ToArray();

    public static Impression Candidate(Random random, int past, long time = Now) => new()
    {
        SequenceKeys = Config.SequenceFields.Select(field => field.ColumnName is null ? field.CandidateKey : random.Next(field.KeyCount + 1)).ToArray(),
        CandidateKeys = [Enumerable.Range(0, 1 + random.Next(3)).Select(_ => random.Next(8)).ToArray()],
        UserKeys = [[random.Next(3)]],
        Numbers = [random.NextSingle(), 10 * random.NextSingle()],
        Timestamp = time,
        PastLength = past,
        Label = random.Next(2),
    };

    public static double[] Score(CtrNetwork network, params Request[] requests)
    {
        using IDisposable noGradient = torch.no_grad();
        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor weights = network.parameters().First();
        using PackedBatch batch = PackedBatch.Create(requests, network, weights.device, weights.dtype);
        return network.forward(batch).to(torch.float64, torch.CPU).data<double>().ToArray();
    }

    /// <summary>The mean loss of all candidates.</summary>
    public static torch.Tensor Loss(CtrNetwork network, params Request[] requests)
    {
        using PackedBatch batch = PackedBatch.Create(requests, network, torch.CPU, network.parameters().First().dtype);
        return torch.nn.functional.binary_cross_entropy_with_logits(network.forward(batch), batch.Labels);
    }

    /// <summary>The gradients of the mean loss, by the names of the weights, as doubles.</summary>
    public static Dictionary<string, torch.Tensor> Gradients(CtrNetwork network, params Request[] requests)
    {
        network.zero_grad();
        Loss(network, requests).backward();
        return network.named_parameters().ToDictionary(named => named.Item1, named => named.Item2.grad!.to(torch.float64, copy: true));
    }

    /// <summary>Asserts that gradients, or anything that has names, equal others relative to the largest of each.</summary>
    public static void AssertClose(Dictionary<string, torch.Tensor> expected, Dictionary<string, torch.Tensor> actual, double tolerance)
    {
        foreach ((string name, torch.Tensor gradient) in expected)
        {
            double error = (actual[name] - gradient).abs().max().item<double>(), size = gradient.abs().max().item<double>();
            Assert.True(error <= tolerance * (size + 1e-2), $"{name}: off by {error} where gradients are up to {size}");
        }
    }

    /// <summary>Asserts that scores are those expected, relative to their size.</summary>
    public static void AssertClose(string what, double[] expected, double[] actual, double tolerance)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++)
            Assert.True(Math.Abs(expected[i] - actual[i]) <= tolerance * (1 + Math.Abs(expected[i])), $"{what}, candidate {i}: {actual[i]}, expected {expected[i]}");
    }
}
