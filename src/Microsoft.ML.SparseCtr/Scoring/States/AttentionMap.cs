namespace Microsoft.ML.SparseCtr;

/// <summary>A chunk of a user's history, and how much of the global branch a candidate gives it.</summary>
/// <param name="First">Its first event, by its place among those of the state.</param>
/// <param name="Count">Its events.</param>
/// <param name="Weight">The attention that it gets, 0 to 1; what is missing to 1 in all is the zero token's.</param>
public sealed record AttendedChunk(int First, int Count, float Weight);

/// <summary>
/// What a candidate attends to in the last block of SparseCtr or DenseAttention (docs/model.md): probabilities of each branch's softmax, means over the heads. What a branch gives is
/// weighted by its gate before the branches are added.
/// </summary>
/// <param name="Chunks">The chunks, oldest first; none with DenseAttention.</param>
/// <param name="Transition">For each event of the state, what it gets in the transition branch; 0 where it is not one of the last of its chunk.</param>
/// <param name="Local">For each event of the state, what it gets in the local branch; 0 where it is not in the window.</param>
/// <param name="Self">What the candidate itself gets in the local branch.</param>
/// <param name="GlobalGate">How far the global branch is open, 0 to 1: the mean over the heads; 0 where the model has none.</param>
/// <param name="TransitionGate">The same of the transition branch.</param>
/// <param name="LocalGate">The same of the local branch.</param>
public sealed record AttentionMap(
    IReadOnlyList<AttendedChunk> Chunks, IReadOnlyList<float> Transition, IReadOnlyList<float> Local, float Self, float GlobalGate, float TransitionGate, float LocalGate);
