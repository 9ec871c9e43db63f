using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// Trains a table of embeddings, of which each step looks up a few rows, for the cost of these rows: one that is not needed waits, and what the
/// steps would have done to it meanwhile is made up for when it is looked up again. What that is, and what a gradient does, a <see cref="RowwiseRule"/> says.
/// </summary>
/// <remarks>
/// The gradients of a row are added up in an order that follows from the tokens' alone: the same batches give the same weights, bit for bit. On a GPU this takes a sort of the
/// rows looked up. Atomic additions would do without, but would give other weights in each run; as the sort is a small part of a step, there is no option for them.
/// </remarks>
internal abstract class RowwiseOptimizer(EmbeddingTable table) : IDisposable
{
    /// <param name="table">The table, on the device that it is trained on: kernels train it there, if they can be had, and .NET code in the CPU's memory.</param>
    /// <param name="rule">How rows are updated.</param>
    public static RowwiseOptimizer Create(EmbeddingTable table, RowwiseRule rule)
        => CudaKernels.Of(table.Weight) is { } kernels ? new CudaRowwiseOptimizer(kernels, table, rule) : new HostRowwiseOptimizer(table, rule);

    protected EmbeddingTable Table => table;

    protected long Rows { get; } = table.Weight.shape[0];
    protected int Dimension { get; } = (int)table.Weight.shape[1];

    /// <summary>Looks up rows for the current step; their gradients are kept until <see cref="CollectGradients"/>.</summary>
    public abstract Tensor Look(Tensor rows);

    /// <summary>Adds the gradients of what has been looked up since to those of the step, after a backward pass through it.</summary>
    public abstract void CollectGradients();

    /// <summary>The sum of the squares of the current step's gradients, a float64 on the table's device.</summary>
    public abstract Tensor SquaredNorm();

    /// <summary>Updates the rows of the current step, as the step that the rule has just begun.</summary>
    /// <param name="scale">What gradients are multiplied by, as clipping wants it.</param>
    public abstract void Update(double scale);

    /// <summary>
    /// Makes the table one to predict with: makes up for what waits in all rows, and gives those never looked up the weights of the
    /// first, the missing key's, so that an unseen id is scored as a missing one. Where no key was missing either, all these rows get the mean of
    /// those looked up.
    /// </summary>
    /// <param name="fillUnseenRows">Whether rows never looked up are filled: not where keys share them.</param>
    public abstract void Complete(bool fillUnseenRows);

    /// <summary>Carries, between steps, what is kept of rows, but not what is known of steps: in the same form wherever the table is.</summary>
    public abstract void Carry(StateStream stream);

    public virtual void Dispose()
    {
    }
}
