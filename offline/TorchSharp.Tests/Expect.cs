// How tests make tensors, and say what they expect of them.
namespace TorchSharp.Tests;

internal static class Expect
{
    /// <summary>A vector of float64.</summary>
    public static Tensor V(params double[] values) => tensor(values);

    /// <summary>A matrix of float64, row by row.</summary>
    public static Tensor M(long rows, params double[] values) => tensor(values, rows, values.Length / rows);

    /// <summary>A vector of int64.</summary>
    public static Tensor I(params long[] values) => tensor(values);

    /// <summary>A vector of Booleans.</summary>
    public static Tensor B(params int[] values) => tensor(values).to_type(ScalarType.Bool);

    public static double[] Values(Tensor tensor) => tensor.detach().to_type(ScalarType.Float64).contiguous().data<double>().ToArray();

    public static void Equal(double[] expected, Tensor actual, double tolerance = 1e-9)
    {
        double[] values = Values(actual);
        Assert.Equal(expected.Length, values.Length);
        for (int i = 0; i < values.Length; i++)
        {
            bool same = expected[i].Equals(values[i]) || Math.Abs(expected[i] - values[i]) <= tolerance * Math.Max(1,
                Math.Abs(expected[i]));
            Assert.True(same, $"element {i}: expected {expected[i]}, got {values[i]} in {actual}");
        }
    }
}
