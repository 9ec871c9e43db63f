using Microsoft.ML.Runtime;
using Microsoft.ML.SearchSpace;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// Trains ETA (Chen et al. 2021, arXiv:2108.04468): from a history of any length it retrieves, by SimHash fingerprints, the behaviors that are most like the
/// candidate, which attends to these and to the latest ones. Create it with
/// <see cref="SparseCtrCatalog.Eta(RankingCatalog.RankingTrainers, Options, IProgress{TrainingProgress}, CancellationToken)"/>.
/// </summary>
public sealed class EtaTrainer : CtrTrainer
{
    internal EtaTrainer(IHostEnvironment environment, Options options, IProgress<TrainingProgress>? progress, CancellationToken cancellationToken)
        : base(environment, options, progress, cancellationToken)
    {
    }

    /// <summary>Options of <see cref="EtaTrainer"/>.</summary>
    public sealed record Options : CtrTrainerOptions
    {
        /// <summary>Behaviors k that are retrieved for a candidate. 1 to 10,000; default 48.</summary>
        [Choice(new object[] { 16, 48, 96 }, 48)]
        public int RetrievedBehaviors { get; set; } = 48;

        /// <summary>Latest behaviors w that the candidate attends to besides. 1 to 10,000; default 16.</summary>
        [Choice(new object[] { 8, 16, 32, 64 }, 16)]
        public int LocalWindow { get; set; } = 16;

        /// <summary>
        /// Bits of the fingerprint of each field that candidate and history share: a multiple of 64, 64 to 1,024; default 64. A model that scores keeps as many for each
        /// key (of fields without <see cref="CtrTrainerOptions.MaximumTableRows"/>), which it computes when it is first asked for a score.
        /// </summary>
        [Choice(new object[] { 64, 128 }, 64)]
        public int FingerprintBits { get; set; } = 64;

        internal override CtrNetwork CreateNetwork(CtrConfig config) => new EtaNetwork(config, this);

        internal override ScoringNetwork CreateScoringNetwork(CtrConfig config, WeightReader weights) => new EtaScoringNetwork(config, this, weights);

        internal override void CheckNetwork(Requirement require)
        {
            base.CheckNetwork(require);
            require.Between(RetrievedBehaviors, 1, 10_000, nameof(RetrievedBehaviors));
            require.Between(LocalWindow, 1, 10_000, nameof(LocalWindow));
            require.Between(FingerprintBits, 64, 1_024, nameof(FingerprintBits));
            require(FingerprintBits % SimHash.WordBits == 0, nameof(FingerprintBits), "a multiple of 64", FingerprintBits);
        }
    }
}
