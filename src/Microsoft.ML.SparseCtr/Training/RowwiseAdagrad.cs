namespace Microsoft.ML.SparseCtr;

/// <summary>
/// Row-wise Adagrad for a table of embeddings (as in DLRM, Naumov et al., 2019): a ← a + mean(g²), w ← keep·w − rate·g/(√a + ε), with one a for
/// each row. A row that is not looked up does nothing but decay.
/// </summary>
internal sealed unsafe class RowwiseAdagrad(EmbeddingTable table, double weightDecay) : RowwiseOptimizer(table, weightDecay, keptPerRow: 1)
{
    private const double Epsilon = 1e-8;

    private double _rate;

    protected override void BeginStep(double learningRate) => _rate = learningRate;

    protected override void Update(float* gradients, double scale, double keep, float* weights, float* kept)
    {
        *kept += (float)(scale * scale * SmallMatrix.SumOfSquares(gradients, Dimension) / Dimension);
        SmallMatrix.CopyScaled(weights, (float)keep, weights, Dimension);
        SmallMatrix.AddScaled(gradients, (float)(-_rate * scale / (Math.Sqrt(*kept) + Epsilon)), weights, Dimension);
    }
}
