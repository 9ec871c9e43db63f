namespace Microsoft.ML.SparseCtr;

/// <summary>Where a history is cut into chunks; docs/model.md defines both, and docs/performance.md compares them.</summary>
public enum ChunkingPolicy
{
    /// <summary>
    /// At its largest gaps (SparseCTR, arXiv:2601.17836): see <see cref="TimeChunking.LargestGaps"/>. An event that comes later can move every
    /// boundary. This is what models do that were saved before there was a choice.
    /// </summary>
    LargestGaps,

    /// <summary>
    /// Where a gap, when it ended, was among the user's largest so far: see <see cref="TimeChunking.Causal"/>. No boundary ever moves, so that
    /// what was computed of a history stays right as it grows.
    /// </summary>
    Causal,
}
