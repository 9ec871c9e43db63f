namespace Microsoft.ML.SparseCtr;

/// <summary>Where a history is cut into chunks; docs/model.md defines them, docs/results/quality.md and docs/performance.md compare them.</summary>
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

    /// <summary>After equal numbers of events, whatever the time between them: see <see cref="TimeChunking.EqualCounts"/>. What the others are to be held against.</summary>
    EqualCounts,
}
