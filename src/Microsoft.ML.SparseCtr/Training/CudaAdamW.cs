using System.Runtime.InteropServices;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>What <see cref="DenseAdamW"/> does to weights on a GPU: what AdamW.cu computes, one launch for each tensor.</summary>
internal sealed class CudaAdamW(CudaKernels kernels)
{
    private const int Threads = 128, NumbersPerThread = 4;

    public static CudaProgram Program { get; } = new("AdamW.cu", Threads);

    /// <summary>The sum of the squares of gradients.</summary>
    public Tensor SquaredNorm(IReadOnlyList<Tensor> gradients)
    {
        Tensor ofBlocks = empty(gradients.Sum(BlocksOf), float64, gradients[0].device);
        nint next = DeviceMemory.AddressOf(ofBlocks);
        foreach (Tensor gradient in gradients)
        {
            Launch("sum_squares", gradient, new Parameters { SquaredNorms = next });
            next += BlocksOf(gradient) * sizeof(double);
        }
        return ofBlocks.sum();
    }

    /// <summary>Updates weights and their moments.</summary>
    public void Update(CudaOptimizerStep step, Tensor gradient, Tensor moments1, Tensor moments2, Parameter weights) => Launch("update", gradient, new Parameters
    {
        Weights = DeviceMemory.AddressOf(weights), Moments1 = DeviceMemory.AddressOf(moments1), Moments2 = DeviceMemory.AddressOf(moments2), Step = step,
    });

    private void Launch(string kernel, Tensor gradient, Parameters parameters)
    {
        (parameters.Gradients, parameters.Count) = (DeviceMemory.AddressOf(gradient), gradient.numel());
        kernels.Launch(Program, kernel, (BlocksOf(gradient), 1, 1), parameters);
    }

    private static int BlocksOf(Tensor gradient) => (int)((gradient.numel() + Threads * NumbersPerThread - 1) / (Threads * NumbersPerThread));

    /// <summary>Dense, as AdamW.cu declares it.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Parameters
    {
        public nint Weights, Moments1, Moments2, Gradients, SquaredNorms;
        public long Count;
        public CudaOptimizerStep Step;
    }
}

/// <summary>OptimizerStep, as common.cuh declares it.</summary>
[StructLayout(LayoutKind.Sequential)]
internal readonly struct CudaOptimizerStep((double Rate, double Epsilon) step, (double Beta1, double Beta2) betas, double keep, double scale)
{
    public readonly float Rate = (float)step.Rate, Epsilon = (float)step.Epsilon, Beta1 = (float)betas.Beta1, Beta2 = (float)betas.Beta2;
    public readonly float Keep = (float)keep, Scale = (float)scale;
}
