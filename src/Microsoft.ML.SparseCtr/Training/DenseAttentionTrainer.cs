using Microsoft.ML.Runtime;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// Trains the network of <see cref="SparseCtrTrainer"/> with dense attention: candidates see their whole history and, in all but the last block, behaviors all behaviors before
/// them, with the same RelTemporal. With two blocks or more its cost grows with the square of the history's length; it is what sparse attention is to be held against. Create it with
/// <see cref="SparseCtrCatalog.DenseAttention"/>.
/// </summary>
public sealed class DenseAttentionTrainer : CtrTrainer
{
    internal DenseAttentionTrainer(IHostEnvironment environment, Options options, IProgress<TrainingProgress>? progress, CancellationToken cancellationToken)
        : base(environment, options, progress, cancellationToken)
    {
    }

    /// <summary>Options of <see cref="DenseAttentionTrainer"/>.</summary>
    public sealed record Options : SelfAttentionOptions
    {
        /// <summary>A local branch whose window is the history, and no other.</summary>
        internal override AttentionShape Shape => new(AttentionBranches.Local, default, Chunks: 0, Transitions: 0, Window: HistoryLength);
    }
}
