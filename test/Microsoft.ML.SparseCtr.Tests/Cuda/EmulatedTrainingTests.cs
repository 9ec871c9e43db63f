using Microsoft.ML.Data;

namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>A whole training by the kernels for GPUs, run on the CPU, is held to the same training by .NET code.</summary>
public class EmulatedTrainingTests
{
    private static readonly TinyClicks.Row[] s_rows = TinyClicks.Rows(200), s_testRows = TinyClicks.Rows(100, seed: 2);

    [SkippableTheory]
    [InlineData("SparseCtr", EmbeddingOptimizer.AdamW, false, 0.002)]
    [InlineData("SparseCtr", EmbeddingOptimizer.RowwiseAdagrad, false, 0.002)]
    [InlineData("SparseCtr", EmbeddingOptimizer.AdamW, true, 0.1)]
    [InlineData("DenseAttention", EmbeddingOptimizer.AdamW, false, 0.002)]
    [InlineData("Eta", EmbeddingOptimizer.AdamW, false, 0.002)]
    [InlineData("TargetAttention", EmbeddingOptimizer.AdamW, false, 0.002)]
    public void A_training_by_kernels_gives_the_model_of_one_without_but_for_rounding(string trainer, EmbeddingOptimizer optimizer, bool isMixed, double tolerance)
    {
        CtrTrainerOptions options = TinyClicks.Options(trainer);
        (options.EmbeddingOptimizer, options.NumberOfEpochs) = (optimizer, 1);
        if (options is SelfAttentionOptions blocks)
            (blocks.NumberOfBlocks, blocks.MixedPrecision) = (2, isMixed);
        float[] expected = Train(options), actual;
        long launches = EmulatedGpu.Launches;
        using (CudaKernels.Emulate(EmulatedGpu.Library))
            actual = Train(options);
        Assert.True(EmulatedGpu.Launches > launches);
        Assert.InRange(expected.Zip(actual, (one, other) => Math.Abs(one - other)).Max(), double.Epsilon, tolerance);
    }

    [SkippableFact]
    public void Attention_that_no_kernel_computes_takes_part_in_mixed_precision_too()
    {
        SparseCtrTrainer.Options options = TinyClicks.Options();
        (options.NumberOfEpochs, options.AttentionImplementation) = (1, AttentionImplementation.Reference);
        float[] expected = Train(options);
        options.MixedPrecision = true;
        using IDisposable emulation = CudaKernels.Emulate(EmulatedGpu.Library);
        Assert.InRange(expected.Zip(Train(options), (one, other) => Math.Abs(one - other)).Max(), double.Epsilon, 0.1);
    }

    [SkippableFact]
    public void Dropout_by_a_kernel_trains_too_and_the_same_for_the_same_seed()
    {
        using IDisposable emulation = CudaKernels.Emulate(EmulatedGpu.Library);
        SparseCtrTrainer.Options options = TinyClicks.Options();
        (options.NumberOfEpochs, options.Dropout, options.TokenDropout) = (1, 0.2, 0.2);
        Assert.Equal(Train(options), Train(options));
    }

    private static float[] Train(CtrTrainerOptions options)
    {
        var mlContext = new MLContext(seed: 1);
        using TransformerChain<CtrTransformer> model = TinyClicks.Fit(mlContext, s_rows, options);
        return TinyClicks.Predict(mlContext, model, s_testRows).Select(prediction => prediction.Probability).ToArray();
    }
}
