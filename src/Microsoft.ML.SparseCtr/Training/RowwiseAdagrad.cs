namespace Microsoft.ML.SparseCtr;

/// <summary>
/// Row-wise Adagrad for tables of embeddings (as in DLRM, Naumov et al., 2019): a ← a + mean(g²), w ← keep·w − rate·g/(√a + ε), with one a for
/// each row. A row that is not looked up does nothing but decay.
/// </summary>
internal sealed unsafe class RowwiseAdagrad(double weightDecay) : RowwiseRule(weightDecay)
{
    private const double Epsilon = 1e-8;

    private double _rate;

    public override string KernelName => "Adagrad";

    public override (double Rate, double Epsilon) Current => (_rate, Epsilon);

    public override int KeptPerRow(int dimension) => 1;

    protected override void Begin(double learningRate) => _rate = learningRate;

    public override void Update(float* gradients, double scale, float* weights, float* kept, int dimension)
    {
        *kept += (float)(scale * scale * SmallMatrix.SumOfSquares(gradients, dimension) / dimension);
        SmallMatrix.CopyScaled(weights, (float)Keep, weights, dimension);
        SmallMatrix.AddScaled(gradients, (float)(-_rate * scale / (Math.Sqrt(*kept) + Epsilon)), weights, dimension);
    }
}
