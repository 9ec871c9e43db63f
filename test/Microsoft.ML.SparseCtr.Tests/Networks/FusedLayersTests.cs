using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr.Tests;

public sealed class FusedLayersOnCpuTests() : FusedLayersTests(gpu: null);

public sealed class FusedLayersOnGpuTests() : FusedLayersTests(CudaKernels.Emulate(EmulatedGpu.Library))
{
    [SkippableFact]
    public void RmsNorm_puts_out_bfloat16_of_floats()
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(1);
        Tensor gradient = randn(50, 24).to(bfloat16);
        (Tensor X, Tensor Weight, Tensor Output) actual = Normalized(bfloat16), expected = Normalized(float32);
        Assert.Equal((bfloat16, float32, float32), (actual.Output.dtype, actual.X.grad!.dtype, actual.Weight.grad!.dtype));
        AssertClose(expected.Output, actual.Output, 0.01);
        AssertClose(expected.X.grad!, actual.X.grad, 1e-6);
        AssertClose(expected.Weight.grad!, actual.Weight.grad, 1e-6);

        (Tensor, Tensor, Tensor) Normalized(ScalarType type)
        {
            manual_seed(2);
            (Tensor x, Tensor weight) = (randn(50, 24).requires_grad_(), randn(24).requires_grad_());
            Tensor output = RmsNormFunction.apply(x, weight, type);
            output.backward([gradient.to(type)]);
            return (x, weight, output.detach());
        }
    }

    [SkippableFact]
    public void SwiGlu_computes_in_bfloat16_where_its_input_is()
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(1);
        using var layer = new SwiGlu(24, 64);
        Tensor x = randn(50, 24).to(bfloat16), gradient = randn(50, 24).to(bfloat16);
        Dictionary<string, Tensor> actual = Computed(bfloat16), expected = Computed(float32);
        Assert.Equal(bfloat16, actual["output"].dtype);
        Assert.All(layer.parameters(), parameter => Assert.Equal(float32, parameter.grad!.dtype));
        foreach ((string name, Tensor values) in expected)
            AssertClose(values, actual[name], 0.02 * values.abs().max().item<float>());

        Dictionary<string, Tensor> Computed(ScalarType type)
        {
            layer.zero_grad();
            Tensor input = x.to(type).detach().requires_grad_(), output = layer.forward(input);
            output.backward([gradient.to(type)]);
            var result = layer.named_parameters().ToDictionary(named => named.Item1, named => named.Item2.grad!.clone());
            return result.Append(new("output", output.detach())).Append(new("input", input.grad!)).ToDictionary(named => named.Key, named => named.Value);
        }
    }

    private static void AssertClose(Tensor expected, Tensor actual, double tolerance)
    {
        Tensor error = (expected - actual.to(float32)).abs();
        Assert.InRange((error / (1 + expected.abs())).max().item<float>(), 0, tolerance);
    }

    [SkippableTheory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    public void Dropout_takes_numbers_of_either_type(ScalarType type)
    {
        manual_seed(1);
        using var dropout = new FusedDropout(0.5);
        Tensor x = (3 * ones(2_000)).to(type).requires_grad_(), dropped = dropout.forward(x);
        dropped.sum().backward();
        Assert.Equal(type, dropped.dtype);
        float[] values = dropped.detach().to(float32).data<float>().ToArray();
        Assert.Equal([0, 6], values.Distinct().Order());
        Assert.Equal(values.Select(value => value / 3), x.grad!.to(float32).data<float>().ToArray());
    }
}

/// <summary>Layers that are one function in float32, against their tensor operators, which float64 takes.</summary>
public abstract class FusedLayersTests(IDisposable? gpu) : IDisposable
{
    public void Dispose() => gpu?.Dispose();

    [SkippableTheory]
    [InlineData(1, 8)]
    [InlineData(5, 32)]
    [InlineData(0, 32)]
    [InlineData(300, 40)]
    [InlineData(7, 12)]
    public void RmsNorm_equals_its_operators(int rows, int dimension) => AssertAsOperators(() => new RmsNorm(dimension), rows, dimension);

    [SkippableTheory]
    [InlineData(1, 8, 8)]
    [InlineData(5, 32, 64)]
    [InlineData(0, 32, 64)]
    [InlineData(300, 20, 40)]
    [InlineData(7, 9, 12)]
    public void SwiGlu_equals_its_operators(int rows, int dimension, int width) => AssertAsOperators(() => new SwiGlu(dimension, width), rows, dimension);

    private static void AssertAsOperators(Func<nn.Module<Tensor, Tensor>> create, int rows, int dimension)
    {
        using DisposeScope scope = NewDisposeScope();
        Dictionary<string, Tensor> actual = Compute(float32), expected = Compute(float64);
        foreach ((string name, Tensor values) in expected)
        {
            Assert.Equal(values.shape, actual[name].shape);
            if (values.numel() == 0)
                continue;
            double error = (actual[name].to(float64) - values).abs().max().item<double>(), size = values.abs().max().item<double>();
            Assert.True(error <= 1e-5 * (size + 1e-2), $"{name}: off by {error} where values are up to {size}");
        }

        Dictionary<string, Tensor> Compute(ScalarType type)
        {
            manual_seed(1);
            nn.Module<Tensor, Tensor> layer = create();
            using (no_grad())
            {
                foreach (Parameter parameter in layer.parameters())
                    parameter.normal_(0.5, 1);
            }
            // What is not contiguous, and values far from zero.
            Tensor x = (5 * randn(dimension, rows)).t(), gradient = randn(dimension, rows).t();
            layer.to(type);
            x = x.to(type).detach().requires_grad_();
            Tensor output = layer.forward(x);
            output.backward([gradient.to(type)]);
            var result = new Dictionary<string, Tensor> { ["output"] = output.detach(), ["input"] = x.grad! };
            foreach ((string name, Parameter parameter) in layer.named_parameters())
                result[name] = parameter.grad!;
            return result;
        }
    }

    [SkippableFact]
    public void Dropout_drops_that_share_and_scales_what_is_left()
    {
        manual_seed(1);
        using var dropout = new FusedDropout(0.2);
        Tensor x = ones(1_001, 33).requires_grad_();
        Tensor dropped = dropout.forward(x);
        dropped.backward([2 * ones_like(x)]);

        float[] values = dropped.detach().data<float>().ToArray();
        Assert.Equal([0, 1 / 0.8f], values.Distinct().Order());
        Assert.InRange(values.Count(value => value == 0) / (double)values.Length, 0.19, 0.21);
        Assert.Equal(values.Select(value => 2 * value), x.grad!.data<float>().ToArray());
        // Neighbours, across and along rows, are dropped independently: both in 0.2² of the cases.
        foreach (int distance in new[] { 1, 2, 4, 8, 16, 32, 33 })
            Assert.InRange(values.Zip(values.Skip(distance)).Count(pair => pair is (0, 0)) / (double)values.Length, 0.035, 0.045);
    }

    [SkippableFact]
    public void Dropout_draws_anew_each_time_and_the_same_from_the_same_seed()
    {
        float[][] twice = Twice();
        Assert.NotEqual(twice[0], twice[1]);
        Assert.Equal(twice, Twice());

        static float[][] Twice()
        {
            manual_seed(3);
            using var dropout = new FusedDropout(0.5);
            return [dropout.forward(ones(50)).data<float>().ToArray(), dropout.forward(ones(50)).data<float>().ToArray()];
        }
    }

    [SkippableFact]
    public void Dropout_goes_on_from_a_saved_state_with_the_same_masks()
    {
        using FusedDropout dropout = new(0.5), other = new(0.5);
        using var stream = new MemoryStream();
        dropout.forward(ones(50));
        dropout.Carry(new StateStream(stream, isReading: false));
        stream.Position = 0;
        other.Carry(new StateStream(stream, isReading: true));
        Assert.Equal(dropout.forward(ones(50)).data<float>().ToArray(), other.forward(ones(50)).data<float>().ToArray());
    }

    [SkippableFact]
    public void Dropout_does_nothing_but_in_training()
    {
        using var dropout = new FusedDropout(0.5);
        dropout.eval();
        Tensor x = randn(20);
        Assert.True(dropout.forward(x).equal(x).all().item<bool>());
    }
}
