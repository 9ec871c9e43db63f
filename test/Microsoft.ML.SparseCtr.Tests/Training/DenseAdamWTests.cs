using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr.Tests;

public sealed class DenseAdamWOnCpuTests() : DenseAdamWTests(gpu: null);

public sealed class DenseAdamWOnGpuTests() : DenseAdamWTests(CudaKernels.Emulate(EmulatedGpu.Library));

public abstract class DenseAdamWTests(IDisposable? gpu) : IDisposable
{
    private static readonly long[][] s_shapes = [[32, 20], [7], [1], [3, 5, 11], [64], [40, 51]];

    public void Dispose() => gpu?.Dispose();

    /// <summary>Doubles are computed in tensor operators, as weights on a GPU are for which there are no kernels.</summary>
    [SkippableTheory]
    [InlineData(ScalarType.Float32, 5e-6)]
    [InlineData(ScalarType.Float64, 1e-6)]
    public void It_gives_what_AdamW_of_libtorch_gives(ScalarType type, double tolerance)
    {
        manual_seed(1);
        Parameter[] own = s_shapes.Select(shape => new Parameter(randn(shape, type))).ToArray();
        Parameter[] theirs = own.Select(parameter => new Parameter(parameter.detach().clone())).ToArray();
        using var optimizer = new DenseAdamW(own.Select((parameter, i) => (parameter, i < 2 ? 0.1 : 0)), new AdamWRule(0.9, 0.99, 1e-8));
        using AdamW reference = optim.AdamW(
            [new AdamW.ParamGroup(theirs[..2], 1e-2, 0.9, 0.99, 1e-8, 0.1), new AdamW.ParamGroup(theirs[2..], 1e-2, 0.9, 0.99, 1e-8, 0)]);

        for (int step = 0; step < 60; step++)
        {
            using DisposeScope scope = NewDisposeScope();
            const double clipping = 20;
            double rate = 1e-2 * (1 + Math.Sin(step / 10.0)) / 2;
            Tensor[] factors = s_shapes.Select(shape => randn(shape, type) * (step % 3)).ToArray();
            optimizer.ClearGradients();
            reference.zero_grad();
            for (int i = 0; i < own.Length; i++)
            {
                Loss(own[i], factors[i]).backward();
                Loss(theirs[i], factors[i]).backward();
            }

            double norm = Math.Sqrt(optimizer.SquaredNorm().item<double>());
            Assert.Equal(nn.utils.clip_grad_norm_(theirs, clipping), norm, 1e-5 * (1 + norm));
            optimizer.Update(rate, Math.Min(1, clipping / norm));
            foreach (optim.ILearningRateController group in reference.ParamGroups)
                group.LearningRate = rate;
            reference.step();
        }
        for (int i = 0; i < own.Length; i++)
            Assert.InRange((own[i] - theirs[i]).abs().max().ToDouble(), 0, tolerance);
    }

    /// <summary>The gradient of a transposed product is a transposed one: not contiguous.</summary>
    private static Tensor Loss(Tensor weights, Tensor factors)
        => weights.dim() == 2 ? (weights.t() * factors.t()).sin().sum() : (weights * factors).sin().sum();

    [SkippableFact]
    public void A_weight_without_a_gradient_stays_what_it_is()
    {
        using var used = new Parameter(ones(3));
        using var unused = new Parameter(ones(3));
        using var optimizer = new DenseAdamW([(used, 0.1), (unused, 0.1)], new AdamWRule(0.9, 0.99, 1e-8));
        used.sum().backward();
        Assert.Equal(3, optimizer.SquaredNorm().item<double>(), 1e-12);
        optimizer.Update(0.1, 1);
        Assert.Equal([1, 1, 1], unused.data<float>().ToArray());
        Assert.All(used.data<float>().ToArray(), value => Assert.Equal(1 - 0.01 - 0.1, value, 1e-6));
        optimizer.ClearGradients();
        Assert.Null(used.grad);
    }
}
