using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// A table of embeddings: [rows, e]. While it is trained, its gradients exist only for the rows that a batch looks up
/// (<see cref="RowwiseOptimizer"/>), so that a table of millions of rows costs no more than a small one.
/// </summary>
internal sealed class EmbeddingTable : nn.Module<Tensor, Tensor>
{
    // TorchSharp moves a parameter to another device or type by putting the new one into the field of its name.
    private Parameter weight;

    public EmbeddingTable(long rows, int dimension, double mean, double deviation) : base(nameof(EmbeddingTable))
    {
        weight = new Parameter(empty(rows, dimension).normal_(mean, deviation));
        register_parameter(nameof(weight), weight);
    }

    public Parameter Weight => weight;

    /// <summary>What trains the table; null where nothing does, or gradients are wanted for the table as a whole.</summary>
    public RowwiseOptimizer? Optimizer { get; set; }

    /// <param name="rows">[n] rows of the table.</param>
    /// <returns>[n, e].</returns>
    public override Tensor forward(Tensor rows) => training && Optimizer is not null ? Optimizer.Look(rows) : weight.index_select(0, rows);
}
