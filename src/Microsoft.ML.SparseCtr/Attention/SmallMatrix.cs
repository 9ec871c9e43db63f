using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// The arithmetic of <see cref="EvoAttentionKernel"/>, in vectors as wide as the hardware's (AVX2, or AVX-512 where .NET is told to use it for
/// Vector&lt;T&gt;; SSE or NEON; plain numbers elsewhere). Each result is summed in the same order whatever stands beside it.
/// </summary>
internal static unsafe class SmallMatrix
{
    /// <summary>Floats per vector.</summary>
    public static int Lanes => Vector<float>.Count;

    /// <summary>Rows that <see cref="MultiplyAdd"/> computes together.</summary>
    public const int RowBlock = 4;

    public static int RoundUp(int count, int multiple) => (count + multiple - 1) / multiple * multiple;

    /// <summary>
    /// C += A·B, for A of m × k, B of k × n and C of m × n. The rows of B and C are contiguous; A may be the transpose of what lies in memory.
    /// </summary>
    /// <param name="m">A multiple of <see cref="RowBlock"/>.</param>
    /// <param name="k">Any number.</param>
    /// <param name="n">A multiple of <see cref="Lanes"/>.</param>
    /// <param name="a">A.</param>
    /// <param name="aRow">From a row of A to the next.</param>
    /// <param name="aColumn">From a column of A to the next.</param>
    /// <param name="b">B.</param>
    /// <param name="bRow">From a row of B to the next.</param>
    /// <param name="c">C.</param>
    /// <param name="cRow">From a row of C to the next.</param>
    public static void MultiplyAdd(int m, int k, int n, float* a, nint aRow, nint aColumn, float* b, nint bRow, float* c, nint cRow)
    {
        for (int row = 0; row < m; row += RowBlock, a += RowBlock * aRow, c += RowBlock * cRow)
        {
            int column = 0;
            for (; column + 2 * Lanes <= n; column += 2 * Lanes)
                FourByTwo(k, a, aRow, aColumn, b + column, bRow, c + column, cRow);
            if (column < n)
                FourByOne(k, a, aRow, aColumn, b + column, bRow, c + column, cRow);
        }
    }

    /// <summary>Four rows and two vectors of columns: eight sums, which stay in registers.</summary>
    private static void FourByTwo(int k, float* a, nint aRow, nint aColumn, float* b, nint bRow, float* c, nint cRow)
    {
        float* a1 = a + aRow, a2 = a1 + aRow, a3 = a2 + aRow;
        float* c1 = c + cRow, c2 = c1 + cRow, c3 = c2 + cRow;
        Vector<float> sum00 = Vector.Load(c), sum01 = Vector.Load(c + Lanes), sum10 = Vector.Load(c1), sum11 = Vector.Load(c1 + Lanes);
        Vector<float> sum20 = Vector.Load(c2), sum21 = Vector.Load(c2 + Lanes), sum30 = Vector.Load(c3), sum31 = Vector.Load(c3 + Lanes);
        for (int i = 0; i < k; i++)
        {
            Vector<float> b0 = Vector.Load(b), b1 = Vector.Load(b + Lanes);
            Vector<float> factor = Vector.Create(*a);
            sum00 = Vector.MultiplyAddEstimate(factor, b0, sum00);
            sum01 = Vector.MultiplyAddEstimate(factor, b1, sum01);
            factor = Vector.Create(*a1);
            sum10 = Vector.MultiplyAddEstimate(factor, b0, sum10);
            sum11 = Vector.MultiplyAddEstimate(factor, b1, sum11);
            factor = Vector.Create(*a2);
            sum20 = Vector.MultiplyAddEstimate(factor, b0, sum20);
            sum21 = Vector.MultiplyAddEstimate(factor, b1, sum21);
            factor = Vector.Create(*a3);
            sum30 = Vector.MultiplyAddEstimate(factor, b0, sum30);
            sum31 = Vector.MultiplyAddEstimate(factor, b1, sum31);
            a += aColumn;
            a1 += aColumn;
            a2 += aColumn;
            a3 += aColumn;
            b += bRow;
        }
        sum00.Store(c);
        sum01.Store(c + Lanes);
        sum10.Store(c1);
        sum11.Store(c1 + Lanes);
        sum20.Store(c2);
        sum21.Store(c2 + Lanes);
        sum30.Store(c3);
        sum31.Store(c3 + Lanes);
    }

    private static void FourByOne(int k, float* a, nint aRow, nint aColumn, float* b, nint bRow, float* c, nint cRow)
    {
        float* a1 = a + aRow, a2 = a1 + aRow, a3 = a2 + aRow;
        float* c1 = c + cRow, c2 = c1 + cRow, c3 = c2 + cRow;
        Vector<float> sum0 = Vector.Load(c), sum1 = Vector.Load(c1), sum2 = Vector.Load(c2), sum3 = Vector.Load(c3);
        for (int i = 0; i < k; i++)
        {
            Vector<float> b0 = Vector.Load(b);
            sum0 = Vector.MultiplyAddEstimate(Vector.Create(*a), b0, sum0);
            sum1 = Vector.MultiplyAddEstimate(Vector.Create(*a1), b0, sum1);
            sum2 = Vector.MultiplyAddEstimate(Vector.Create(*a2), b0, sum2);
            sum3 = Vector.MultiplyAddEstimate(Vector.Create(*a3), b0, sum3);
            a += aColumn;
            a1 += aColumn;
            a2 += aColumn;
            a3 += aColumn;
            b += bRow;
        }
        sum0.Store(c);
        sum1.Store(c1);
        sum2.Store(c2);
        sum3.Store(c3);
    }

    /// <summary>to += scale · from, of any length.</summary>
    public static void AddScaled(float* from, float scale, float* to, int count)
    {
        int i = 0;
        for (; i + Lanes <= count; i += Lanes)
            Vector.MultiplyAddEstimate(Vector.Load(from + i), Vector.Create(scale), Vector.Load(to + i)).Store(to + i);
        for (; i < count; i++)
            to[i] += scale * from[i];
    }

    /// <summary>to = scale · from, of any length.</summary>
    public static void CopyScaled(float* from, float scale, float* to, int count)
    {
        int i = 0;
        for (; i + Lanes <= count; i += Lanes)
            (Vector.Load(from + i) * scale).Store(to + i);
        for (; i < count; i++)
            to[i] = scale * from[i];
    }

    /// <summary>Copies rows into a matrix with other columns beside them.</summary>
    public static void CopyRows(float* from, nint fromRow, int rows, int columns, float* to, nint toRow)
    {
        for (int row = 0; row < rows; row++, from += fromRow, to += toRow)
            new ReadOnlySpan<float>(from, columns).CopyTo(new Span<float>(to, columns));
    }

    /// <summary>The largest of some logits and one more.</summary>
    /// <param name="row">The logits; −∞ hides one.</param>
    /// <param name="count">A multiple of <see cref="Lanes"/>.</param>
    /// <param name="oneMore">The logit that is not in the row; −∞ is none.</param>
    public static float Largest(float* row, int count, float oneMore)
    {
        Vector<float> largest = Vector.Create(oneMore);
        for (int i = 0; i < count; i += Lanes)
            largest = Vector.MaxNative(largest, Vector.Load(row + i));
        return Max(largest);
    }

    /// <summary>Makes logits e^(logit − top), exactly zero where −∞ hides one, and returns their sum and that of one more.</summary>
    public static float Exponentiate(float* row, int count, float oneMore, float top)
    {
        Vector<float> shift = Vector.Create(top);
        Vector<float> sums = Exp(Vector.Create(oneMore) - shift) * (1f / Lanes);
        for (int i = 0; i < count; i += Lanes)
        {
            Vector<float> exponential = Exp(Vector.Load(row + i) - shift);
            exponential.Store(row + i);
            sums += exponential;
        }
        return Vector.Sum(sums);
    }

    /// <summary>Σ_i left_i · right_i, of any length.</summary>
    public static float Dot(float* left, float* right, int count)
    {
        Vector<float> sums = Vector<float>.Zero;
        int i = 0;
        for (; i + Lanes <= count; i += Lanes)
            sums = Vector.MultiplyAddEstimate(Vector.Load(left + i), Vector.Load(right + i), sums);
        float sum = Vector.Sum(sums);
        for (; i < count; i++)
            sum += left[i] * right[i];
        return sum;
    }

    /// <summary>1/√(mean(x²) + ε).</summary>
    public static float InverseRootMeanSquare(float* x, int count, float epsilon) => 1 / MathF.Sqrt(Dot(x, x, count) / count + epsilon);

    /// <summary>Σ_i values_i², of any number, added up in doubles.</summary>
    public static double SumOfSquares(float* values, long count)
    {
        Vector<double> sums = Vector<double>.Zero;
        long i = 0;
        for (; i + Lanes <= count; i += Lanes)
        {
            Vector.Widen(Vector.Load(values + i), out Vector<double> lower, out Vector<double> upper);
            sums += lower * lower + upper * upper;
        }
        double sum = Vector.Sum(sums);
        for (; i < count; i++)
            sum += (double)values[i] * values[i];
        return sum;
    }

    /// <summary>σ(x) = 1/(1 + e^−x), to about 10⁻⁷ of it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Sigmoid(Vector<float> x)
    {
        Vector<float> e = Exp(-Vector.Abs(x));
        return Vector.ConditionalSelect(Vector.LessThan(x, Vector<float>.Zero), e, Vector<float>.One) / (Vector<float>.One + e);
    }

    private static float Max(Vector<float> values)
    {
        if (Lanes == Vector256<float>.Count)
        {
            Vector256<float> eight = values.AsVector256();
            Vector128<float> four = Vector128.MaxNative(eight.GetLower(), eight.GetUpper());
            four = Vector128.MaxNative(four, Vector128.Shuffle(four, Vector128.Create(2, 3, 0, 1)));
            return MathF.Max(four[0], four[1]);
        }
        float largest = values[0];
        for (int i = 1; i < Lanes; i++)
            largest = MathF.Max(largest, values[i]);
        return largest;
    }

    /// <summary>
    /// e^x, to about 10⁻⁷ of it; 0 below −87, where floats lose precision, and ∞ above 88. As 2ⁿ·2^r with |r| ≤ 1/2, where a polynomial of the fifth degree
    /// is as close to 2^r as floats are. (.NET's own computes in double, at a third of the speed.)
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<float> Exp(Vector<float> x)
    {
        // Within these ends n is from −127, whose power below is 0, to 128, whose is ∞. Where x is not a number the second operand is the result.
        x = Vector.MaxNative(Vector.Create(-88f), Vector.MinNative(Vector.Create(89f), x));
        // Adding 1.5·2²³ + 127 leaves n + 127, the exponent of 2ⁿ, in the lowest bits of the sum.
        Vector<float> magic = Vector.Create(12_582_912f + 127), log2E = Vector.Create(1.44269504f);
        Vector<float> shifted = Vector.MultiplyAddEstimate(x, log2E, magic);
        Vector<float> r = Vector.MultiplyAddEstimate(x, log2E, magic - shifted);
        r = Vector.MultiplyAddEstimate(x, Vector.Create(1.92596303e-8f), r);
        Vector<float> y = Vector.Create(1.32764725e-3f);
        y = Vector.MultiplyAddEstimate(y, r, Vector.Create(9.67554096e-3f));
        y = Vector.MultiplyAddEstimate(y, r, Vector.Create(5.55071309e-2f));
        y = Vector.MultiplyAddEstimate(y, r, Vector.Create(2.40221202e-1f));
        y = Vector.MultiplyAddEstimate(y, r, Vector.Create(6.93146944e-1f));
        y = Vector.MultiplyAddEstimate(y, r, Vector.Create(1.00000012f));
        return y * Vector.AsVectorSingle(Vector.ShiftLeft(Vector.AsVectorInt32(shifted), 23));
    }

    /// <summary>
    /// log(x) for x ≥ 1, to about 10⁻⁷. By Cephes' logf: log(2ⁿ·(1 + f)) = n·ln(2) + log(1 + f) with 1/√2 ≤ 1 + f &lt; √2.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Log(Vector<float> x)
    {
        // Taking the bits of 1/√2 away before the exponent is cut off leaves 1 + f in that range.
        Vector<int> bits = Vector.AsVectorInt32(x), offset = Vector.Create(0x3F35_04F3);
        Vector<int> exponent = Vector.ShiftRightArithmetic(bits - offset, 23);
        Vector<float> n = Vector.ConvertToSingle(exponent);
        Vector<float> f = Vector.AsVectorSingle(bits - Vector.ShiftLeft(exponent, 23)) - Vector<float>.One;
        Vector<float> square = f * f;
        Vector<float> y = Vector.Create(7.0376836292e-2f);
        y = Vector.MultiplyAddEstimate(y, f, Vector.Create(-1.1514610310e-1f));
        y = Vector.MultiplyAddEstimate(y, f, Vector.Create(1.1676998740e-1f));
        y = Vector.MultiplyAddEstimate(y, f, Vector.Create(-1.2420140846e-1f));
        y = Vector.MultiplyAddEstimate(y, f, Vector.Create(1.4249322787e-1f));
        y = Vector.MultiplyAddEstimate(y, f, Vector.Create(-1.6668057665e-1f));
        y = Vector.MultiplyAddEstimate(y, f, Vector.Create(2.0000714765e-1f));
        y = Vector.MultiplyAddEstimate(y, f, Vector.Create(-2.4999993993e-1f));
        y = Vector.MultiplyAddEstimate(y, f, Vector.Create(3.3333331174e-1f));
        y = Vector.MultiplyAddEstimate(y * f, square, n * -2.12194440e-4f);
        y = Vector.MultiplyAddEstimate(square, Vector.Create(-0.5f), y) + f;
        return Vector.MultiplyAddEstimate(n, Vector.Create(0.693359375f), y);
    }
}
