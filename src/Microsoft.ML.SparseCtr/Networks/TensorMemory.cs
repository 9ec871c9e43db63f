using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>The memory of tensors that .NET code computes with by itself.</summary>
internal static unsafe class TensorMemory
{
    /// <summary>Whether a tensor is one of floats in the CPU's memory.</summary>
    public static bool IsDirect(Tensor tensor) => tensor.dtype == ScalarType.Float32 && tensor.device_type == DeviceType.CPU;

    /// <summary>A tensor of the CPU's on a device: itself, where that is the CPU.</summary>
    /// <remarks>
    /// From pinned memory a GPU copies by itself, behind the work that it has been given before, while this thread and the network's go on. What computes with
    /// the copy comes behind it, as all threads give their work to the device's one default stream. The pinned memory may be let go at once: libtorch, whose
    /// own it is, marks in the stream where a copy of it ends, and does not use the memory again before the GPU has come that far.
    /// </remarks>
    public static Tensor Send(Tensor tensor, Device device)
        => device.type == DeviceType.CPU ? tensor : tensor.pin_memory().to(device, non_blocking: true);

    /// <summary>The elements of a contiguous tensor, which must be kept alive. It may have more bytes than a Span can count.</summary>
    public static float* Floats(Tensor tensor)
    {
        const long mostInSpan = int.MaxValue / sizeof(float);
        if (tensor.numel() <= mostInSpan)
            return Start(tensor);
        using Tensor firstRow = tensor.narrow(0, 0, 1);
        return Start(firstRow);
    }

    private static float* Start(Tensor tensor) => (float*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(tensor.bytes));
}
