using System.Numerics;

namespace Microsoft.ML.SparseCtr.Tests;

public class SmallMatrixTests
{
    [Fact]
    public void Logarithms_are_those_of_doubles_from_one_to_the_end_of_time()
    {
        Assert.Equal(0, SmallMatrix.Log(Vector<float>.One)[0]);
        for (float x = 1; x < 1e30f; x *= 1.00137f)
            Assert.Equal(Math.Log(x), SmallMatrix.Log(Vector.Create(x))[0], 3e-7 * (1 + Math.Log(x)));
    }

    [Theory]
    [InlineData(float.NegativeInfinity)]
    [InlineData(0f)]
    [InlineData(5f)]
    public unsafe void Exponentials_and_their_sum_are_those_of_doubles_and_zero_where_hidden(float oneMore)
    {
        int count = 40 * SmallMatrix.Lanes;
        float[] row = Enumerable.Range(0, count).Select(i => i % 7 == 3 ? float.NegativeInfinity : 3 - 0.5f * i * 320f / count).ToArray();
        float[] logits = [.. row];
        float top, sum;
        fixed (float* first = row)
        {
            top = SmallMatrix.Largest(first, count, oneMore);
            sum = SmallMatrix.Exponentiate(first, count, oneMore, top);
        }

        Assert.Equal(Math.Max(3, oneMore), top);
        double expected = Math.Exp(oneMore - top) + logits.Sum(logit => Math.Exp(logit - top));
        Assert.Equal(expected, sum, 1e-6 * expected);
        Assert.All(row.Zip(logits), pair => Assert.Equal(Math.Exp(pair.Second - top), pair.First, 3e-7 * Math.Exp(pair.Second - top) + 1e-37));
        Assert.All(row.Zip(logits).Where(pair => float.IsInfinity(pair.Second)), pair => Assert.Equal(0, pair.First));
    }

    [Theory]
    [InlineData(-40f, false)]
    [InlineData(40f, false)]
    [InlineData(88f, false)]
    [InlineData(90f, true)]
    [InlineData(1e30f, true)]
    [InlineData(float.PositiveInfinity, true)]
    public unsafe void Exponentials_need_no_top_until_they_are_infinite(float logit, bool isInfinite)
    {
        float[] row = Enumerable.Repeat(logit, SmallMatrix.Lanes).ToArray();
        float sum;
        fixed (float* first = row)
            sum = SmallMatrix.Exponentiate(first, row.Length, float.NegativeInfinity, top: 0);
        if (isInfinite)
            Assert.Equal(float.PositiveInfinity, sum);
        else
            Assert.All(row, actual => Assert.Equal(Math.Exp(logit), actual, 3e-7 * Math.Exp(logit)));
    }

    [Fact]
    public unsafe void What_is_not_a_number_stays_so()
    {
        float[] row = Enumerable.Repeat(float.NaN, SmallMatrix.Lanes).ToArray();
        fixed (float* first = row)
            Assert.Equal(float.NaN, SmallMatrix.Exponentiate(first, row.Length, 0, top: 0));
        Assert.Equal(float.NaN, row[0]);
    }

    [Fact]
    public void Sigmoids_are_those_of_doubles_from_end_to_end()
    {
        for (float x = -200; x < 200; x += 0.0137f)
            Assert.Equal(1 / (1 + Math.Exp(-x)), SmallMatrix.Sigmoid(Vector.Create(x))[0], 3e-7 / (1 + Math.Exp(-x)) + 1e-37);
    }

    [Fact]
    public unsafe void Sums_of_squares_are_those_of_doubles_for_any_length()
    {
        for (int count = 0; count < 70; count++)
        {
            float[] values = Enumerable.Range(0, count).Select(i => 1 + i / 3f).ToArray();
            fixed (float* first = values)
                Assert.Equal(values.Sum(value => (double)value * value), SmallMatrix.SumOfSquares(first, count), 1e-9);
        }
    }

    [Theory]
    [InlineData(1, 1, 1)]
    [InlineData(1, 7, 2)]
    [InlineData(2, 16, 3)]
    [InlineData(3, 5, 5)]
    public unsafe void Products_are_those_of_loops_for_a_matrix_and_for_its_transpose(int rowBlocks, int k, int vectors)
    {
        (int m, int n) = (rowBlocks * SmallMatrix.RowBlock, vectors * SmallMatrix.Lanes);
        var random = new Random(1);
        float[] a = Some(m * k), b = Some(k * n), c = Some(m * n);
        foreach (bool isTransposed in new[] { false, true })
        {
            (int aRow, int aColumn) = isTransposed ? (1, m) : (k, 1);
            float[] actual = [.. c];
            fixed (float* left = a, right = b, result = actual)
                SmallMatrix.MultiplyAdd(m, k, n, left, aRow, aColumn, right, n, result, n);
            for (int i = 0; i < m * n; i++)
            {
                double expected = c[i] + Enumerable.Range(0, k).Sum(j => (double)a[i / n * aRow + j * aColumn] * b[j * n + i % n]);
                Assert.Equal(expected, actual[i], 1e-5);
            }
        }

        float[] Some(int count) => Enumerable.Range(0, count).Select(_ => 2 * random.NextSingle() - 1).ToArray();
    }
}
