using System.Runtime.InteropServices;
using TorchSharp;

namespace Microsoft.ML.SparseCtr.Tests;

public class OutOfMemoryTests
{
    /// <summary>As libtorch 1.13 to 2.x says it, on a GPU, on the CPU and on the CPU of Windows, and CUDA's driver to the kernels of this library.</summary>
    [Theory]
    [InlineData("CUDA out of memory. Tried to allocate 36.00 MiB (GPU 0; 7.93 GiB total capacity; 130.35 MiB already allocated; 47.06 MiB free)")]
    [InlineData("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 79.11 GiB of which 8.12 GiB is free.")]
    [InlineData("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported at some other API call")]
    [InlineData("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")]
    [InlineData("[enforce fail at alloc_cpu.cpp:75] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 256 bytes.")]
    [InlineData("[enforce fail at alloc_cpu.cpp:114] data. DefaultCPUAllocator: not enough memory: you tried to allocate 256 bytes.")]
    [InlineData("CUDA: cuLaunchKernel failed with error 2: out of memory.")]
    public void What_libtorch_says_of_memory_is_understood(string message)
    {
        Assert.True(OutOfMemory.IsReasonOf(new ExternalException(message)));
        Assert.False(OutOfMemory.IsReasonOf(new InvalidOperationException(message)));
    }

    [Theory]
    [InlineData("CUDA error: device-side assert triggered")]
    [InlineData("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`")]
    [InlineData("mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)")]
    public void Its_other_errors_are_left_as_they_are(string message) => Assert.False(OutOfMemory.IsReasonOf(new ExternalException(message)));

    [Fact]
    public void Memory_that_NET_lacks_counts_too_on_any_thread()
    {
        Assert.True(OutOfMemory.IsReasonOf(new OutOfMemoryException()));
        Assert.True(OutOfMemory.IsReasonOf(new AggregateException(new OutOfMemoryException())));
    }

    [Fact]
    public void A_training_without_enough_memory_says_which_options_to_lower()
    {
        SparseCtrTrainer.Options options = TinyClicks.Options();
        options.MaximumTableRows = 1_000;
        // More memory than any processor can address: libtorch's own error, in the middle of a training.
        var progress = new DirectProgress(_ => torch.empty(1L << 60));
        var mlContext = new MLContext(seed: 1);
        var error = Assert.Throws<InvalidOperationException>(()
            => TinyClicks.Keys(mlContext).Append(TinyClicks.Trainer(mlContext, options, progress)).Fit(TinyClicks.View(mlContext, TinyClicks.Rows(100))));
        Assert.Contains($"not enough memory for this training on the CPU. Lower BatchSize (64) first, and ShufflePoolSize ({options.ShufflePoolSize}), the requests that are held at a time; then HistoryLength (200) and ModelDimension (16)", error.Message);
        Assert.Contains("EmbeddingDimension (8) and MaximumTableRows (1000)", error.Message);
        Assert.Contains("DefaultCPUAllocator", Assert.IsType<ExternalException>(error.InnerException).Message);
    }

    [Fact]
    public void A_GPU_without_enough_memory_is_named()
        => Assert.Contains("on GPU 1.", OutOfMemory.Explain(new ExternalException(), TinyClicks.Options(), new torch.Device(DeviceType.CUDA, 1)).Message);
}
