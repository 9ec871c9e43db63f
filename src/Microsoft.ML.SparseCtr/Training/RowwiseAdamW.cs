using System.Numerics;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// AdamW (<see cref="AdamWRule"/>) for tables of embeddings. It gives what AdamW gives that updates whole tables at every step: what a row's momentum
/// would have done while it waited is made up for in closed form. (Only ε is left out of that.)
/// </summary>
internal sealed unsafe class RowwiseAdamW(AdamWRule rule, double weightDecay) : RowwiseRule(weightDecay)
{
    // Of every step so far: its learning rate and ε.
    private readonly List<(double Rate, double Epsilon)> _steps = [default];

    private readonly float[] _powers1 = PowersOf(rule.Beta1), _powers2 = PowersOf(rule.Beta2);
    private readonly double[] _moves = new double[LongestMomentum + 1];

    public override string KernelName => "AdamW";

    public override (double Beta1, double Beta2) Betas => (rule.Beta1, rule.Beta2);

    public override (double Rate, double Epsilon) Current => _steps[Step];

    public override int KeptPerRow(int dimension) => 2 * dimension;

    /// <summary>
    /// n steps without gradients do w ← keep·w − move·m/√v, m ← β₁ⁿ·m, v ← β₂ⁿ·v. The i-th of them moves w by
    /// rate·(β₁ⁱ·m/(1 − β₁ᵗ))/√(β₂ⁱ·v/(1 − β₂ᵗ)), which later steps decay. So the move of n steps is that of the first of them, decayed, and that of
    /// the n − 1 steps after it, of what the first leaves of m/√v.
    /// </summary>
    protected override void Begin(double learningRate)
    {
        _steps.Add(rule.At(Step, learningRate));
        double ratio = rule.Beta1 / Math.Sqrt(rule.Beta2), kept = 1;
        for (int n = 1; n <= Math.Min(Step, LongestMomentum); n++)
        {
            int first = Step - n + 1;
            _moves[n] = ratio * (_steps[first].Rate * kept + _moves[n - 1]);
            kept *= KeptIn(first);
        }
    }

    protected override double MoveOf(int steps) => _moves[steps];

    protected override (float Move, float Keep1, float Keep2) MomentumSince(int lastStep)
    {
        (int missed, int settled) = (Step - lastStep, lastStep + LongestMomentum);
        return missed > LongestMomentum
            ? ((float)(LongestMoveUpTo(settled) * KeptBetween(settled, Step)), 0, (float)Math.Pow(rule.Beta2, missed))
            : ((float)_moves[missed], _powers1[missed], _powers2[missed]);
    }

    public override void Update(float* gradients, double scale, float* weights, float* kept, int dimension)
        => rule.Update(Current, Keep, gradients, scale, kept, kept + dimension, weights, dimension);

    public override void CatchUp(int lastStep, float* weights, float* kept, int dimension)
    {
        (float move, float keep1, float keep2) = MomentumSince(lastStep);
        float* moments1 = kept, moments2 = kept + dimension;
        int i = 0;
        for (; i + Vector<float>.Count <= dimension; i += Vector<float>.Count)
        {
            Vector<float> m = Vector.Load(moments1 + i), v = Vector.Load(moments2 + i), root = Vector.SquareRoot(v);
            Vector<float> moved = Vector.ConditionalSelect(Vector.GreaterThan(root, Vector<float>.Zero), m * move / root, Vector<float>.Zero);
            (Vector.Load(weights + i) - moved).Store(weights + i);
            (m * keep1).Store(moments1 + i);
            (v * keep2).Store(moments2 + i);
        }
        for (; i < dimension; i++)
        {
            float root = MathF.Sqrt(moments2[i]);
            weights[i] -= root > 0 ? moments1[i] * move / root : 0;
            moments1[i] *= keep1;
            moments2[i] *= keep2;
        }
    }

    private static float[] PowersOf(double number) => Enumerable.Range(0, LongestMomentum + 1).Select(n => (float)Math.Pow(number, n)).ToArray();
}
