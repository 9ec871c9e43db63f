using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// Sets the number of threads of libtorch and that of our own kernels, which the whole process shares, until it is disposed. Of several that overlap, the latest
/// counts, and when all are disposed the numbers are those from before.
/// </summary>
internal sealed class ThreadCount : IDisposable
{
    private static readonly Lock s_lock = new();
    private static int s_alive;
    private static (int LibTorch, int Kernels) s_before;

    public ThreadCount(int threads)
    {
        lock (s_lock)
        {
            if (s_alive++ == 0)
                s_before = (OfLibTorch, OfKernels);
            (OfLibTorch, OfKernels) = (threads, threads);
        }
    }

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

    public void Dispose()
    {
        lock (s_lock)
        {
            if (--s_alive == 0)
                (OfLibTorch, OfKernels) = s_before;
        }
    }
}
