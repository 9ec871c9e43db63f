using Microsoft.ML.Runtime;
using Microsoft.ML.SearchSpace;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// Trains a network in which the candidate attends to the user's latest behaviors, in the manner of DIN (Zhou et al. 2018, arXiv:1706.06978): small and
/// fast, and blind to what is older. Create it with <see cref="SparseCtrCatalog.TargetAttention"/>.
/// </summary>
public sealed class TargetAttentionTrainer : CtrTrainer
{
    internal TargetAttentionTrainer(IHostEnvironment environment, Options options, IProgress<TrainingProgress>? progress, CancellationToken cancellationToken)
        : base(environment, options, progress, cancellationToken)
    {
    }

    /// <summary>Options of <see cref="TargetAttentionTrainer"/>.</summary>
    public sealed record Options : CtrTrainerOptions
    {
        /// <summary>Latest behaviors w that the candidate attends to. 1 to 10,000; default 64.</summary>
        [Choice(new object[] { 16, 32, 64, 128 }, 64)]
        public int LocalWindow { get; set; } = 64;

        internal override CtrNetwork CreateNetwork(CtrConfig config) => new TargetAttentionNetwork(config, this);

        internal override ScoringNetwork CreateScoringNetwork(CtrConfig config, WeightReader weights) => new TargetAttentionScoringNetwork(config, this, weights);

        internal override void CheckNetwork(Requirement require)
        {
            base.CheckNetwork(require);
            require.Between(LocalWindow, 1, 10_000, nameof(LocalWindow));
        }
    }
}
