namespace Microsoft.ML.SparseCtr;

/// <summary>The branches of SparseCTR's attention (docs/model.md), each a softmax of its own. Every combination has a name, so that it can be swept.</summary>
[Flags]
public enum AttentionBranches
{
    /// <summary>The means of the chunks.</summary>
    Global = 1,

    /// <summary>The last behaviors of each chunk.</summary>
    Transition = 2,

    /// <summary>Both of these.</summary>
    GlobalAndTransition = Global | Transition,

    /// <summary>The latest behaviors.</summary>
    Local = 4,

    /// <summary>The means of the chunks and the latest behaviors.</summary>
    GlobalAndLocal = Global | Local,

    /// <summary>The last behaviors of each chunk and the latest ones.</summary>
    TransitionAndLocal = Transition | Local,

    /// <summary>All three.</summary>
    All = Global | Transition | Local,
}

/// <summary>Who attends to whom.</summary>
/// <param name="Branches">The branches; what others would give is left out of the sum.</param>
/// <param name="Chunking">Where histories are cut into chunks.</param>
/// <param name="Chunks">P; 0 where histories are not cut.</param>
/// <param name="Transitions">r, the behaviors at the end of each chunk that the transition branch sees.</param>
/// <param name="Window">w, the latest behaviors that the local branch sees.</param>
internal sealed record AttentionShape(AttentionBranches Branches, ChunkingPolicy Chunking, int Chunks, int Transitions, int Window)
{
    /// <summary>Whether it has a branch, by its number: global, transition, local.</summary>
    public bool Has(int branch) => (Branches & (AttentionBranches)(1 << branch)) != 0;

    /// <summary>Whether what a query sees of its past does not depend on what comes later.</summary>
    public bool CanShareHistories => Chunks == 0 || Chunking != ChunkingPolicy.LargestGaps;
}
