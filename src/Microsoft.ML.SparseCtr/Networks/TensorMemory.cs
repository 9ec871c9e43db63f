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
