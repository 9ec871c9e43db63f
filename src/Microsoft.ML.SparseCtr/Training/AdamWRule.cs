using System.Numerics;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// AdamW's step (Loshchilov and Hutter, 2019): m ← β₁·m + (1 − β₁)·g, v ← β₂·v + (1 − β₂)·g², w ← keep·w − rate·m/(√v + ε). The corrections of
/// bias are in rate and ε.
/// </summary>
internal sealed unsafe class AdamWRule(double beta1, double beta2, double epsilon)
{
    public double Beta1 => beta1;
    public double Beta2 => beta2;

    /// <summary>The learning rate and ε with the corrections of bias of the first, second, third … step.</summary>
    public (double Rate, double Epsilon) At(int step, double learningRate)
    {
        double root = Math.Sqrt(1 - Math.Pow(beta2, step));
        return (learningRate * root / (1 - Math.Pow(beta1, step)), epsilon * root);
    }

    /// <summary>Updates weights and their moments.</summary>
    /// <param name="step">What <see cref="At"/> gives.</param>
    /// <param name="keep">What decay leaves of a weight.</param>
    /// <param name="gradients">The gradients.</param>
    /// <param name="scale">What gradients are multiplied by, as clipping wants it.</param>
    /// <param name="moments1">m.</param>
    /// <param name="moments2">v.</param>
    /// <param name="weights">w.</param>
    /// <param name="count">How many, any number.</param>
    public void Update(
        (double Rate, double Epsilon) step, double keep, float* gradients, double scale, float* moments1, float* moments2, float* weights, long count)
    {
        (float b1, float b2, float kept, float factor) = ((float)beta1, (float)beta2, (float)keep, (float)scale);
        (float rate, float added) = ((float)step.Rate, (float)step.Epsilon);
        long i = 0;
        for (; i + Vector<float>.Count <= count; i += Vector<float>.Count)
        {
            Vector<float> g = Vector.Load(gradients + i) * factor;
            Vector<float> m = Vector.Load(moments1 + i) * b1 + g * (1 - b1);
            Vector<float> v = Vector.Load(moments2 + i) * b2 + g * g * (1 - b2);
            m.Store(moments1 + i);
            v.Store(moments2 + i);
            (Vector.Load(weights + i) * kept - m * rate / (Vector.SquareRoot(v) + Vector.Create(added))).Store(weights + i);
        }
        for (; i < count; i++)
        {
            float g = gradients[i] * factor;
            moments1[i] = moments1[i] * b1 + g * (1 - b1);
            moments2[i] = moments2[i] * b2 + g * g * (1 - b2);
            weights[i] = weights[i] * kept - moments1[i] * rate / (MathF.Sqrt(moments2[i]) + added);
        }
    }
}
