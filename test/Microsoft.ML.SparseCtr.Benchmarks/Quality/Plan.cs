using SparseCtr.Samples;
using static System.FormattableString;

namespace Microsoft.ML.SparseCtr.Benchmarks;

/// <summary>
/// What is compared, in the order in which it is run. It follows from the results so far: everything behind the tuning takes the learning rate
/// that validated best, and the default one where none has yet.
/// </summary>
internal sealed class Plan
{
    private static readonly CtrTrainerOptions[] s_models
        = [new TargetAttentionTrainer.Options(), new EtaTrainer.Options(), new DenseAttentionTrainer.Options(), new SparseCtrTrainer.Options()];

    private static readonly double[] s_rates = [0.003, 0.01, 0.03];
    private static readonly int[] s_historyLengths = [50, 100, 250, 500, 1_000, 2_000];

    private readonly ResultLog _results;

    public Plan(Datasets data, ResultLog results)
    {
        _results = results;
        Dataset[] compared = data.MovieLens is null ? [data.Generated, data.Generated390] : [data.Generated, data.MovieLens, data.Generated390];
        Tuning = [.. compared.Append(data.Generated2400).SelectMany(on => s_models.SelectMany(options => TuningOf(on, options)))];
        Main = [.. compared.Select(MainTable)];
        Ablations = [SparseCtrAblations(data.Generated390, tunedOn: data.Generated)];
        if (data.MovieLens is not null)
            Ablations.Add(SparseCtrAblations(data.MovieLens, tunedOn: data.MovieLens)[..^SizesOfAttention]);
        HistoryLengths = [.. s_historyLengths.SelectMany(length => s_models.Select(options => OfLength(data.Generated2400, options, length)))];
        Ladder = [.. SparseCtrLadder(data.Generated)];
    }

    /// <summary>Each model with each learning rate; of these, the first seed alone is run.</summary>
    public Variant[] Tuning { get; }

    /// <summary>For each log all models, SparseCtr last.</summary>
    public Variant[][] Main { get; }

    /// <summary>For each log SparseCtr, and what changes when something of it is changed.</summary>
    public List<Variant[]> Ablations { get; }

    public Variant[] HistoryLengths { get; }

    /// <summary>SparseCtr in ascending sizes.</summary>
    public Variant[] Ladder { get; }

    public IEnumerable<Experiment> Experiments => Tuning.Select(variant => variant.Experiments.First())
        .Concat(SeedAfterSeed(Main.SelectMany(table => table)))
        .Concat(SeedAfterSeed([.. HistoryLengths, .. Ablations.SelectMany(table => table), .. Ladder]))
        .DistinctBy(experiment => experiment.Id);

    /// <summary>So that a part of them compares all variants over the same seeds.</summary>
    private static IEnumerable<Experiment> SeedAfterSeed(IEnumerable<Variant> variants)
        => variants.SelectMany(variant => variant.Experiments).OrderBy(experiment => experiment.Seed);

    /// <summary>A trainer's name.</summary>
    public static string NameOf(CtrTrainerOptions options) => options.GetType().DeclaringType!.Name[..^"Trainer".Length];

    private static IEnumerable<Variant> TuningOf(Dataset data, CtrTrainerOptions model) => s_rates.Select(rate =>
        new Variant(NameOf(model), data, Demo.OptionsFor(data.Clicks, model with { LearningRate = rate })));

    /// <summary>The tuning run that validated best so far; null where there is none.</summary>
    public Variant? Tuned(Dataset data, string model) => Tuning.Where(variant => variant.Data == data && variant.Name == model)
        .Where(variant => ValidationAucOf(variant) is not null).MaxBy(ValidationAucOf);

    /// <summary>What tuning goes by: that of the first seed.</summary>
    public double? ValidationAucOf(Variant variant) => _results.Of(variant.Experiments.First())?.ValidationAuc;

    private TOptions OptionsFor<TOptions>(Dataset data, TOptions model, Dataset? tunedOn = null) where TOptions : CtrTrainerOptions
    {
        TOptions options = Demo.OptionsFor(data.Clicks, (TOptions)(model with { }));
        options.LearningRate = Tuned(tunedOn ?? data, NameOf(model))?.Options!.LearningRate ?? options.LearningRate;
        return options;
    }

    private Variant[] MainTable(Dataset data) =>
    [
        new(Variant.Popularity, data, null),
        new(Variant.UserAndItemRates, data, null),
        .. s_models.Select(model => new Variant(NameOf(model), data, OptionsFor(data, model))),
    ];

    /// <summary>The last of the ablations, which are for long histories.</summary>
    private const int SizesOfAttention = 6;

    /// <summary>Of one block, with the learning rate of data on which networks of one block were tuned.</summary>
    private Variant[] SparseCtrAblations(Dataset data, Dataset tunedOn)
    {
        SparseCtrTrainer.Options all = OptionsFor(data, new SparseCtrTrainer.Options(), tunedOn) with { NumberOfBlocks = 1 };
        string[] withoutMoment = [.. all.NumericColumnNames.Except(["Moment"])];
        return
        [
            new("SparseCtr, P = 32, r = 2, w = 256", data, all),
            .. new[] { AttentionBranches.Global, AttentionBranches.Transition, AttentionBranches.Local }.Select(branch =>
                new Variant($"without the {branch.ToString().ToLowerInvariant()} branch", data, all with { Branches = AttentionBranches.All & ~branch })),
            new("with the local branch alone", data, all with { Branches = AttentionBranches.Local }),
            .. new[] { TemporalTerms.Elapsed, TemporalTerms.Hour, TemporalTerms.Weekend }.Select(term =>
                new Variant($"without RelTemporal's {term.ToString().ToLowerInvariant()} term", data, all with { TemporalTerms = TemporalTerms.All & ~term })),
            new("without the request's hour and weekend", data, all with { NumericColumnNames = withoutMoment }),
            new("without these and both terms", data, all with { NumericColumnNames = withoutMoment, TemporalTerms = TemporalTerms.Elapsed }),
            new("chunks of equal counts", data, all with { Chunking = ChunkingPolicy.EqualCounts }),
            new("chunks between the largest gaps", data, all with { Chunking = ChunkingPolicy.LargestGaps }),
            new("P = 8 chunks", data, all with { NumberOfChunks = 8 }),
            new("P = 128 chunks", data, all with { NumberOfChunks = 128 }),
            new("r = 1 behavior of each chunk", data, all with { TransitionBehaviors = 1 }),
            new("r = 8 behaviors of each chunk", data, all with { TransitionBehaviors = 8 }),
            new("w = 16 latest behaviors", data, all with { LocalWindow = 16 }),
            new("w = 64 latest behaviors", data, all with { LocalWindow = 64 }),
        ];
    }

    private Variant OfLength(Dataset data, CtrTrainerOptions model, int length)
    {
        CtrTrainerOptions options = OptionsFor(data, model with { HistoryLength = length });
        if (options is TargetAttentionTrainer.Options targetAttention)
            targetAttention.LocalWindow = length;
        return new Variant(NameOf(model), data, options);
    }

    /// <summary>From 9 thousand FLOPs per candidate to 107 million, each about five times the one before.</summary>
    private IEnumerable<Variant> SparseCtrLadder(Dataset data)
    {
        yield return Size(history: 10, embedding: 4, model: 8, heads: 2, blocks: 1, feedForward: 16, head: 16);
        yield return Size(history: 20, embedding: 8, model: 16, heads: 4, blocks: 1, feedForward: 32, head: 32);
        yield return Size(history: 25, embedding: 16, model: 32, heads: 4, blocks: 1, feedForward: 64, head: 64);
        yield return Size(history: 25, embedding: 16, model: 32, heads: 4, blocks: 2, feedForward: 64, head: 64);
        yield return Size(history: 50, embedding: 16, model: 48, heads: 4, blocks: 2, feedForward: 96, head: 64);
        yield return Size(history: 100, embedding: 16, model: 64, heads: 4, blocks: 3, feedForward: 128, head: 64);
        yield return Size(history: 100, embedding: 32, model: 128, heads: 4, blocks: 4, feedForward: 256, head: 128);

        Variant Size(int history, int embedding, int model, int heads, int blocks, int feedForward, int head)
            => new(Invariant($"n = {history}, d = {model}, {blocks} {(blocks == 1 ? "block" : "blocks")}"), data, OptionsFor(data, new SparseCtrTrainer.Options
            {
                HistoryLength = history,
                EmbeddingDimension = embedding,
                ModelDimension = model,
                NumberOfHeads = heads,
                NumberOfBlocks = blocks,
                FeedForwardDimension = feedForward,
                HeadDimension = head,
            }));
    }
}
