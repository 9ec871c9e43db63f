using Microsoft.ML.SearchSpace;

namespace Microsoft.ML.SparseCtr;

/// <summary>What the trainers have in common whose networks are blocks of self-attention over behaviors and candidates.</summary>
public abstract record SelfAttentionOptions : CtrTrainerOptions
{
    private protected SelfAttentionOptions()
    {
    }

    /// <summary>Blocks L. In the last one candidates alone attend: with one, behaviors do not attend to each other. 1 to 64; default 1.</summary>
    [Range(1, 4, init: 1)]
    public int NumberOfBlocks { get; set; } = 1;

    /// <summary>Width of the SwiGLU layers. 1 to 65,536; default 64.</summary>
    [Choice(new object[] { 32, 64, 128 }, 64)]
    public int FeedForwardDimension { get; set; } = 64;

    /// <summary>The time scale τ of RelTemporal's log(1 + Δt/τ), in seconds. Positive; default 60.</summary>
    [Range(1, 3_600.0, init: 60, logBase: true)]
    public double TimeScaleSeconds { get; set; } = 60;

    /// <summary>
    /// Hours that local time is ahead of UTC, which makes "hour" and "weekend" those of the users. −24 to 24; default 0.
    /// </summary>
    public double UtcOffsetHours { get; set; }

    /// <summary>How attention is computed in training. Both ways compute the same, up to rounding. Default: fused.</summary>
    public AttentionImplementation AttentionImplementation { get; set; }

    /// <summary>
    /// Whether a GPU computes attention and the products of the blocks' matrices of numbers that are rounded to bfloat16 (float32's range, three digits): that is what its
    /// tensor cores are for, and takes half the memory. Sums, weights, their updates and what goes from block to block stay float32. It does nothing on the CPU, nor for
    /// the saved model. Default: false.
    /// </summary>
    public bool MixedPrecision { get; set; }

    /// <summary>The terms of RelTemporal's bias. Default: all three.</summary>
    public TemporalTerms TemporalTerms { get; set; } = TemporalTerms.All;

    /// <summary>Who attends to whom.</summary>
    internal abstract AttentionShape Shape { get; }

    internal override CtrNetwork CreateNetwork(CtrConfig config) => new SparseCtrNetwork(config, this);

    internal override ScoringNetwork CreateScoringNetwork(CtrConfig config, WeightReader weights) => new SparseCtrScoringNetwork(config, this, weights);

    internal override bool CanShareHistories => Shape.CanShareHistories;

    internal override void CheckNetwork(Requirement require)
    {
        base.CheckNetwork(require);
        require.Between(NumberOfBlocks, 1, 64, nameof(NumberOfBlocks));
        require.Between(FeedForwardDimension, 1, 65_536, nameof(FeedForwardDimension));
        require.Positive(TimeScaleSeconds, nameof(TimeScaleSeconds));
        require.Between(UtcOffsetHours, -24, 24, nameof(UtcOffsetHours));
        require.Defined(AttentionImplementation, nameof(AttentionImplementation));
        require((TemporalTerms & ~TemporalTerms.All) == 0, nameof(TemporalTerms), "some of its names", TemporalTerms);
    }
}

/// <summary>The terms of RelTemporal's bias on the logit of a query and a key (docs/model.md). Every combination has a name, so that it can be swept.</summary>
[Flags]
public enum TemporalTerms
{
    /// <summary>No bias.</summary>
    None = 0,

    /// <summary>−a·log(1 + Δt/τ): heads forget, each at a rate of its own.</summary>
    Elapsed = 1,

    /// <summary>b·cos of the difference of the hours of the day.</summary>
    Hour = 2,

    /// <summary>The first two.</summary>
    ElapsedAndHour = Elapsed | Hour,

    /// <summary>c where both are of a weekend, or neither is.</summary>
    Weekend = 4,

    /// <summary>The first and the last.</summary>
    ElapsedAndWeekend = Elapsed | Weekend,

    /// <summary>The last two.</summary>
    HourAndWeekend = Hour | Weekend,

    /// <summary>All three.</summary>
    All = Elapsed | Hour | Weekend,
}
