using Microsoft.ML.Runtime;
using Microsoft.ML.SearchSpace;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// Trains SparseCTR (arXiv:2601.17836): learns from a user's long, timestamped history how likely an impression is to be clicked, by blocks of
/// attention, in which candidates, and in all but the last block behaviors, see summaries of older sessions and the latest behaviors. Create it with
/// <see cref="SparseCtrCatalog.SparseCtr(RankingCatalog.RankingTrainers, Options, IProgress{TrainingProgress}, CancellationToken)"/>.
/// </summary>
public sealed class SparseCtrTrainer : CtrTrainer
{
    internal SparseCtrTrainer(IHostEnvironment environment, Options options, IProgress<TrainingProgress>? progress, CancellationToken cancellationToken)
        : base(environment, options, progress, cancellationToken)
    {
    }

    /// <summary>Options of <see cref="SparseCtrTrainer"/>.</summary>
    public sealed record Options : SelfAttentionOptions
    {
        /// <summary>Chunks P that the history is cut into, at most. 1 to 10,000; default 32.</summary>
        [Choice(new object[] { 16, 32, 64 }, 32)]
        public int NumberOfChunks { get; set; } = 32;

        /// <summary>Where the history is cut into chunks. Default: causally. Only with the largest gaps is it inexact that rows share histories.</summary>
        public ChunkingPolicy Chunking { get; set; } = ChunkingPolicy.Causal;

        /// <summary>Behaviors r at the end of each chunk that the transition branch sees. 1 to 1,000; default 2.</summary>
        [Choice(new object[] { 1, 2, 4, 8 }, 2)]
        public int TransitionBehaviors { get; set; } = 2;

        /// <summary>Latest behaviors w that the local branch sees. What attention costs grows with it; histories that are shorter are seen whole. 1 to 10,000; default 256.</summary>
        [Choice(new object[] { 64, 128, 256 }, 256)]
        public int LocalWindow { get; set; } = 256;

        /// <summary>The branches of attention. Default: all three.</summary>
        public AttentionBranches Branches { get; set; } = AttentionBranches.All;

        internal override AttentionShape Shape => new(Branches, Chunking, NumberOfChunks, TransitionBehaviors, LocalWindow);

        internal override void CheckNetwork(Requirement require)
        {
            base.CheckNetwork(require);
            require.Between(NumberOfChunks, 1, 10_000, nameof(NumberOfChunks));
            require.Defined(Chunking, nameof(Chunking));
            require.Between(TransitionBehaviors, 1, 1_000, nameof(TransitionBehaviors));
            require.Between(LocalWindow, 1, 10_000, nameof(LocalWindow));
            require(Branches != 0 && (Branches & ~AttentionBranches.All) == 0, nameof(Branches), "some of its names", Branches);
        }
    }
}
