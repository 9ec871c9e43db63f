using System.Runtime.InteropServices;
using TorchSharp;

namespace Microsoft.ML.SparseCtr;

/// <summary>Turns the errors of a training for which there is not enough memory into one that says what would need less.</summary>
internal static class OutOfMemory
{
    /// <summary>
    /// All of libtorch's errors have one type, and are told apart by their text: "CUDA out of memory. Tried to allocate ...", "CUDA error: out of memory",
    /// "CUBLAS_STATUS_ALLOC_FAILED when calling ...", "DefaultCPUAllocator: can't allocate memory: ..." or, on Windows, "DefaultCPUAllocator: not enough memory: ...".
    /// </summary>
    private static readonly string[] s_texts = ["out of memory", "_ALLOC_FAILED", "DefaultCPUAllocator: "];

    public static bool IsReasonOf(Exception exception) => exception.GetBaseException() switch
    {
        OutOfMemoryException => true,
        ExternalException error => Array.Exists(s_texts, text => error.Message.Contains(text, StringComparison.Ordinal)),
        _ => false,
    };

    /// <param name="exception">What was thrown.</param>
    /// <param name="options">Those of the training.</param>
    /// <param name="device">Where it computed.</param>
    public static InvalidOperationException Explain(Exception exception, CtrTrainerOptions options, torch.Device device) => new(
        $"There is not enough memory for this training on {(device.type == DeviceType.CPU ? "the CPU" : $"GPU {device.index}")}. "
        + $"Lower {nameof(options.BatchSize)} ({options.BatchSize}) first, "
        + (device.type == DeviceType.CPU ? $"and {nameof(options.ShufflePoolSize)} ({options.ShufflePoolSize}), the requests that are held at a time; " : "")
        + $"then {nameof(options.HistoryLength)} ({options.HistoryLength}) and {nameof(options.ModelDimension)} ({options.ModelDimension}); where fields have so many keys that their embeddings take most of it, "
        + $"{nameof(options.EmbeddingDimension)} ({options.EmbeddingDimension}) and {nameof(options.MaximumTableRows)} ({options.MaximumTableRows?.ToString() ?? "null"}).",
        exception);
}
