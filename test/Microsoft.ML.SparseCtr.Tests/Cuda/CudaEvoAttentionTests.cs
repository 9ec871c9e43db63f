using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>The attention's kernels for GPUs.</summary>
public abstract class CudaEvoAttentionTests : EvoAttentionAgainstReference
{
    [SkippableTheory]
    [InlineData(1, 20)]
    [InlineData(4, 16)]
    [InlineData(2, 72)]
    public void In_bfloat16_they_compute_as_in_float32_of_the_same_numbers(int heads, int headDimension)
    {
        int d = heads * headDimension;
        SparseCtrTrainer.Options config = s_config with { NumberOfHeads = heads, ModelDimension = d };
        EvoAttentionPlan plan = Plan(config, [0, 90, 3], [1, 2, 40]);
        manual_seed(1);
        Tensor[] inputs = [randn(plan.TokenCount, d + 3 * heads), randn(plan.TokenCount, 2 * d), randn(plan.TokenCount, d)];
        inputs = inputs.Select(input => input.to(bfloat16).to(Device)).ToArray();
        Tensor coefficients = randn(heads, 3).to(Device);
        Tensor[] expected = Compute(float32), actual = Compute(bfloat16);
        for (int i = 0; i < expected.Length; i++)
            Assert.InRange((actual[i].to(float32) - expected[i]).abs().max().item<float>() / expected[i].abs().max().item<float>(), 0, 2e-2);

        Tensor[] Compute(ScalarType type)
        {
            (Tensor asked, Tensor seen, Tensor given) = (inputs[0].to(type), inputs[1].to(type), inputs[2].to(type));
            (Tensor output, Tensor askedGradient, Tensor seenGradient) = (empty_like(given), empty_like(asked), empty_like(seen));
            var attention = new CudaEvoAttention(CudaKernels.Of(asked)!, plan, candidatesOnly: false, asked, seen, coefficients);
            Tensor coefficientGradient = attention.Backward(attention.Forward(output), given, askedGradient, seenGradient);
            return [output, askedGradient, seenGradient, coefficientGradient];
        }
    }

    [SkippableFact]
    public void A_mixed_block_computes_in_bfloat16_and_adds_up_in_float32()
    {
        EvoAttentionPlan plan = Plan(s_config, [60, 3], [3, 1]);
        Tensor exact = Block(mixed: false), rounded = Block(mixed: true);
        Assert.Equal(float32, rounded.dtype);
        Assert.InRange((rounded - exact).abs().max().item<float>() / exact.abs().max().item<float>(), 1e-4, 2e-2);

        Tensor Block(bool mixed)
        {
            manual_seed(1);
            using SparseBlock block = new SparseBlock(s_config with { MixedPrecision = mixed }).to(Device);
            return block.forward(randn(plan.TokenCount, s_config.ModelDimension).to(Device), plan, false).detach();
        }
    }
}

/// <summary>The same, run on the CPU.</summary>
public sealed class EmulatedEvoAttentionTests : CudaEvoAttentionTests, IDisposable
{
    private readonly IDisposable _emulation = CudaKernels.Emulate(EmulatedGpu.Library);

    public void Dispose() => _emulation.Dispose();

    [SkippableFact]
    public void Results_are_the_same_bits_in_whatever_order_threads_come()
    {
        EvoAttentionPlan plan = Plan(s_config, [90, 0, 3], [2, 1, 5]);
        Dictionary<string, Tensor> forwards = Compute(s_config, plan, candidatesOnly: false, float32);
        EmulatedGpu.ReverseThreads(true);
        try
        {
            foreach ((string name, Tensor values) in Compute(s_config, plan, candidatesOnly: false, float32))
                Assert.True(values.equal(forwards[name]).all().item<bool>(), name);
        }
        finally
        {
            EmulatedGpu.ReverseThreads(false);
        }
    }

    [SkippableFact]
    public void The_longest_histories_are_split_among_blocks()
    {
        EvoAttentionPlan plan = Plan(s_config, [3_000, 2], [1, 1]);
        Assert.Equal(3, plan.TilesFor(zeros(1)).Splits);
    }

    /// <summary>Of compute capability 6.0, 7.5, 8.9, 8.0 and 9.0.</summary>
    [Theory]
    [InlineData(48, 64, 2, 4)]
    [InlineData(64, 16, 4, 4)]
    [InlineData(64, 64, 2, 4)]
    [InlineData(64, 128, 1, 2)]
    [InlineData(99, 64, 4, 4)]
    [InlineData(163, 128, 2, 4)]
    [InlineData(227, 256, 1, 2)]
    public void Tiles_are_as_large_as_a_GPUs_shared_memory_lets_them_be(int kilobytes, int headDimension, int threadRows, int threadColumns)
        => Assert.Equal(new CudaEvoAttention.Tile(headDimension, threadRows, threadColumns), CudaEvoAttention.Tile.For(headDimension, kilobytes << 10));

    [Fact]
    public void Where_no_tile_fits_there_are_no_kernels() => Assert.Null(CudaEvoAttention.Tile.For(256, 64 << 10));

    [SkippableFact]
    public void Heads_of_any_dimension_up_to_256_run_as_kernels_and_others_as_operators()
    {
        Assert.Equal(3, LaunchesOf(headDimension: 256));
        Assert.Equal(0, LaunchesOf(headDimension: 257));

        static long LaunchesOf(int headDimension)
        {
            SparseCtrTrainer.Options config = s_config with { NumberOfHeads = 1, ModelDimension = headDimension };
            using var attention = new EvoAttention(config);
            EvoAttentionPlan plan = Plan(config, [5], [1]);
            long before = EmulatedGpu.Launches;
            attention.forward(zeros(plan.TokenCount, headDimension), plan, true);
            return EmulatedGpu.Launches - before;
        }
    }
}

/// <summary>The same on a GPU, which approximates exponentials and logarithms.</summary>
public sealed class GpuEvoAttentionTests : CudaEvoAttentionTests
{
    public GpuEvoAttentionTests() => Gpu.SkipIfNone();

    private protected override Device Device => CUDA;

    protected override (double Value, double Gradient) Tolerance => (1e-4, 1e-4);
}
