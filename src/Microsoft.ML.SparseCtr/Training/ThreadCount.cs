using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>Sets the number of threads of libtorch and that of our own kernels, which the whole process shares, until it is disposed.</summary>
internal sealed class ThreadCount : IDisposable
{
    private readonly (int LibTorch, int Kernels) _before = (OfLibTorch, OfKernels);

    public ThreadCount(int threads) => (OfLibTorch, OfKernels) = (threads, threads);

    /// <summary>Threads of libtorch.</summary>
    public static int OfLibTorch
    {
        get => get_num_threads();
        set
        {
            if (value != get_num_threads())
                set_num_threads(value);
        }
    }

    /// <summary>Threads of one call of a kernel, at most.</summary>
    public static int OfKernels { get; set; } = Environment.ProcessorCount;

    /// <summary>Threads for so much work, of which each is to have so much that it is worth its start.</summary>
    public static int For(long work, long perThread) => (int)Math.Clamp(work / perThread, 1, OfKernels);

    public void Dispose() => (OfLibTorch, OfKernels) = _before;
}
