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

    /// <summary>The elements of a contiguous tensor, which must be kept alive.</summary>
    public static float* Floats(Tensor tensor) => (float*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(tensor.bytes));

    /// <summary>The elements of a table, which may have more bytes than a Span can count.</summary>
    public static float* FloatsOfTable(Tensor table)
    {
        using Tensor firstRow = table.narrow(0, 0, 1);
        return Floats(firstRow);
    }
}
