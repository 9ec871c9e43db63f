using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>The numbers that the kernels of layers take: float32 and bfloat16.</summary>
internal static class CudaNumber
{
    /// <summary>The kernels for a tensor; null where there are none, or it is of other numbers.</summary>
    public static CudaKernels? KernelsFor(Tensor tensor) => tensor.dtype is ScalarType.Float32 or ScalarType.BFloat16 ? CudaKernels.Of(tensor) : null;

    /// <summary>What a program calls such numbers.</summary>
    public static string NameOf(ScalarType type) => type == ScalarType.BFloat16 ? "bfloat16" : "float";
}
