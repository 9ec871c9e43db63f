using System.Numerics;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// AdamW (<see cref="AdamWRule"/>) for a table of embeddings. It gives what AdamW gives that updates the whole table at every step: what a row's momentum
/// would have done while it waited is made up for in closed form. (Only ε is left out of that.)
/// </summary>
internal sealed unsafe class RowwiseAdamW(EmbeddingTable table, AdamWRule rule, double weightDecay)
    : RowwiseOptimizer(table, weightDecay, keptPerRow: 2 * (int)table.Weight.shape[1])
{
    // Beyond this many steps what is left of a row's momentum is below the precision of a Single.
    private const int LongestMomentum = 150;

    // Of every step so far: its learning rate and ε, and where a row that was last updated in it is after the longest momentum.
    private readonly List<(double Rate, double Epsilon)> _steps = [default];
    private readonly List<double> _settled = [];

    private readonly float[] _powers1 = PowersOf(rule.Beta1), _powers2 = PowersOf(rule.Beta2);

    /// <summary>For n steps, how far the last n of them move a weight, times √v/m.</summary>
    private readonly double[] _moves = new double[LongestMomentum + 1];

    /// <summary>
    /// n steps without gradients do w ← keep·w − move·m/√v, m ← β₁ⁿ·m, v ← β₂ⁿ·v. The i-th of them moves w by
    /// rate·(β₁ⁱ·m/(1 − β₁ᵗ))/√(β₂ⁱ·v/(1 − β₂ᵗ)), which later steps decay. So the move of n steps is that of the first of them, decayed, and that of
    /// the n − 1 steps after it, of what the first leaves of m/√v.
    /// </summary>
    protected override void BeginStep(double learningRate)
    {
        _steps.Add(rule.At(Step, learningRate));
        double ratio = rule.Beta1 / Math.Sqrt(rule.Beta2), kept = 1;
        int longest = Math.Min(Step, LongestMomentum);
        for (int n = 1; n <= longest; n++)
        {
            int first = Step - n + 1;
            _moves[n] = ratio * (_steps[first].Rate * kept + _moves[n - 1]);
            kept *= KeptIn(first);
        }
        if (longest == LongestMomentum)
            _settled.Add(_moves[longest]);
    }

    protected override void Update(float* gradients, double scale, double keep, float* weights, float* kept)
        => rule.Update(_steps[Step], keep, gradients, scale, kept, kept + Dimension, weights, Dimension);

    protected override void CatchUp(int lastStep, float* weights, float* kept)
    {
        int missed = Step - lastStep;
        bool isSettled = missed > LongestMomentum;
        float move = (float)(isSettled ? _settled[lastStep] * KeptBetween(lastStep + LongestMomentum, Step) : _moves[missed]);
        float keep1 = isSettled ? 0 : _powers1[missed], keep2 = isSettled ? (float)Math.Pow(rule.Beta2, missed) : _powers2[missed];
        float* moments1 = kept, moments2 = kept + Dimension;
        int i = 0;
        for (; i + Vector<float>.Count <= Dimension; i += Vector<float>.Count)
        {
            Vector<float> m = Vector.Load(moments1 + i), v = Vector.Load(moments2 + i), root = Vector.SquareRoot(v);
            Vector<float> moved = Vector.ConditionalSelect(Vector.GreaterThan(root, Vector<float>.Zero), m * move / root, Vector<float>.Zero);
            (Vector.Load(weights + i) - moved).Store(weights + i);
            (m * keep1).Store(moments1 + i);
            (v * keep2).Store(moments2 + i);
        }
        for (; i < Dimension; i++)
        {
            float root = MathF.Sqrt(moments2[i]);
            weights[i] -= root > 0 ? moments1[i] * move / root : 0;
            moments1[i] *= keep1;
            moments2[i] *= keep2;
        }
    }

    private static float[] PowersOf(double number) => Enumerable.Range(0, LongestMomentum + 1).Select(n => (float)Math.Pow(number, n)).ToArray();
}
