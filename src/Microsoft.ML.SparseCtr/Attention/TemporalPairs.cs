using System.Numerics;
using static Microsoft.ML.SparseCtr.SmallMatrix;

namespace Microsoft.ML.SparseCtr;

/// <summary>What RelTemporal sees of a token: Unix seconds, cos and sin of 2π·hour/24, and 1 at a weekend.</summary>
internal readonly record struct Moment(double Seconds, float Cosine, float Sine, float Weekend)
{
    public static Moment Of(long time, SelfAttentionOptions options)
    {
        LocalTime local = LocalTime.Of(time, options);
        (float sine, float cosine) = MathF.SinCos((float)local.DayAngle);
        return new(time, cosine, sine, local.IsWeekend ? 1 : 0);
    }
}

/// <summary>The same of some keys, a row of numbers for each.</summary>
internal readonly unsafe struct KeyMoments(double* seconds, float* cosine, float* sine, float* weekend)
{
    public readonly double* Seconds = seconds;
    public readonly float* Cosine = cosine, Sine = sine, Weekend = weekend;
}

/// <summary>
/// What RelTemporal sees of pairs of one query with keys, a row of numbers for each feature, and which keys are hidden from it: 0, or −∞ for those that are.
/// </summary>
internal readonly unsafe struct TemporalPairs(float* hidden, float* log, float* hour, float* weekend)
{
    public readonly float* Hidden = hidden, Log = log, Hour = hour, Weekend = weekend;

    /// <summary>The same from a later key on.</summary>
    public TemporalPairs From(int key) => new(Hidden + key, Log + key, Hour + key, Weekend + key);

    /// <summary>Computes log(1 + Δt/τ), cos(2π(hour_i − hour_j)/24) and [weekend_i = weekend_j].</summary>
    /// <param name="query">The query.</param>
    /// <param name="keys">The keys.</param>
    /// <param name="inverseScale">1/τ.</param>
    /// <param name="count">Keys, a multiple of <see cref="Lanes"/>.</param>
    public void Compute(Moment query, KeyMoments keys, float inverseScale, int count)
    {
        Vector<double> time = Vector.Create(query.Seconds);
        Vector<float> cosine = Vector.Create(query.Cosine), sine = Vector.Create(query.Sine), isWeekend = Vector.Create(query.Weekend);
        for (int i = 0; i < count; i += Lanes)
        {
            Vector<double> early = Vector.Abs(time - Vector.Load(keys.Seconds + i));
            Vector<double> late = Vector.Abs(time - Vector.Load(keys.Seconds + i + Vector<double>.Count));
            SmallMatrix.Log(Vector.MultiplyAddEstimate(Vector.Narrow(early, late), Vector.Create(inverseScale), Vector<float>.One)).Store(Log + i);
            (cosine * Vector.Load(keys.Cosine + i) + sine * Vector.Load(keys.Sine + i)).Store(Hour + i);
            Vector.ConditionalSelect(Vector.Equals(isWeekend, Vector.Load(keys.Weekend + i)), Vector<float>.One, Vector<float>.Zero).Store(Weekend + i);
        }
    }

    /// <summary>Writes the bias of each pair, −∞ where the key is hidden.</summary>
    /// <param name="coefficients">A head's −a, b and c.</param>
    /// <param name="bias">Receives them.</param>
    /// <param name="count">Keys, a multiple of <see cref="Lanes"/>.</param>
    public void WriteBias(float* coefficients, float* bias, int count)
    {
        Vector<float> a = Vector.Create(coefficients[0]), b = Vector.Create(coefficients[1]), c = Vector.Create(coefficients[2]);
        for (int i = 0; i < count; i += Lanes)
        {
            Vector<float> sum = Vector.MultiplyAddEstimate(c, Vector.Load(Weekend + i), Vector.Load(Hidden + i));
            sum = Vector.MultiplyAddEstimate(b, Vector.Load(Hour + i), sum);
            Vector.MultiplyAddEstimate(a, Vector.Load(Log + i), sum).Store(bias + i);
        }
    }
}
