using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>Float32 with heads of whole vectors takes the fused attention; float64 takes tensor operators, which the networks' tests hold to a plain implementation.</summary>
public class TargetAttentionTests
{
    [Theory]
    [InlineData(2, 0, 0, 16, 2)]
    [InlineData(1, 1, 1, 8, 1)]
    [InlineData(5, 40, 3, 32, 4)]
    [InlineData(3, 9, 0, 16, 2)]
    [InlineData(1_000, 70, 9, 64, 4)]
    [InlineData(2, 10_000, 10_000, 16, 1)]
    public void Fused_equals_the_tensor_operators_in_values_and_gradients(int candidates, int tokens, int columns, int dimension, int heads)
    {
        using DisposeScope scope = NewDisposeScope();
        long[] places = Places(candidates, tokens, columns);
        Dictionary<string, Tensor> expected = Compute(places, candidates, tokens, dimension, heads, float64), actual = Compute(places, candidates, tokens, dimension, heads, float32);
        foreach ((string name, Tensor values) in expected)
        {
            double error = (actual[name].to(float64) - values).norm().item<double>(), size = values.norm().item<double>();
            double tolerance = name == "output" ? 1e-5 : 1e-4;
            Assert.True(error <= tolerance * (size + 1e-2), $"{name}: off by {error} where values are up to {size}");
        }
    }

    [Fact]
    public void Fused_gives_the_same_bits_for_any_number_of_threads()
    {
        using DisposeScope scope = NewDisposeScope();
        long[] places = Places(300, 500, 40);
        Dictionary<string, Tensor> expected = WithThreads(1);
        foreach (int threads in new[] { 2, 3, 7 })
            Assert.All(WithThreads(threads), pair => Assert.True(pair.Value.equal(expected[pair.Key]).all().item<bool>(), pair.Key));

        Dictionary<string, Tensor> WithThreads(int threads)
        {
            using var count = new ThreadCount(threads);
            ThreadCount.OfLibTorch = 1;
            return Compute(places, 300, 500, 64, 4, float32);
        }
    }

    [Fact]
    public void A_candidate_that_sees_no_behavior_finds_zero()
    {
        using DisposeScope scope = NewDisposeScope();
        using var attention = new TargetAttention(16, 2);
        Tensor output = attention.forward(randn(2, 16), randn(4, 16), [SeenBehaviors.None, SeenBehaviors.None, 0, 3]);
        Assert.Equal(0, output[0].abs().max().item<float>());
        Assert.NotEqual(0, output[1].abs().max().item<float>());
    }

    /// <summary>Random behaviors, the first candidate's none at all, and of the others a few that are none.</summary>
    private static long[] Places(int candidates, int tokens, int columns)
    {
        var random = new Random(1);
        return Enumerable.Range(0, candidates * columns)
            .Select(i => candidates > 1 && i < columns || random.Next(8) == 0 ? SeenBehaviors.None : random.NextInt64(tokens)).ToArray();
    }

    /// <summary>The output and all gradients, by weights and inputs that depend on the sizes alone.</summary>
    private static Dictionary<string, Tensor> Compute(long[] places, int candidateCount, int tokenCount, int dimension, int heads, ScalarType dtype)
    {
        manual_seed(1);
        using var attention = new TargetAttention(dimension, heads);
        Tensor candidates = 3 * randn(candidateCount, dimension), tokens = 3 * randn(tokenCount, dimension), weights = randn(candidateCount, dimension);
        attention.to(dtype);
        (candidates, tokens) = (candidates.to(dtype).requires_grad_(), tokens.to(dtype).requires_grad_());
        Tensor output = attention.forward(candidates, tokens, places);
        (output * weights.to(dtype)).sum().backward();

        var result = new Dictionary<string, Tensor> { ["output"] = output.detach(), ["candidates"] = candidates.grad!, ["tokens"] = tokens.grad! };
        foreach ((string name, Parameter parameter) in attention.named_parameters())
            result[name] = parameter.grad!.clone();
        return result;
    }
}
