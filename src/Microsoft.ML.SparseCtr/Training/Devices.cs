using Microsoft.ML.Runtime;
using Microsoft.ML.SparseCtr.Interop;
using TorchSharp;

namespace Microsoft.ML.SparseCtr;

/// <summary>Chooses where to train, as ML.NET's own deep-learning trainers do, which take the first GPU for any, though.</summary>
internal static class Devices
{
    /// <summary>
    /// The GPU that MLContext.GpuDeviceId names; the CPU where it names none, or where it cannot be had and MLContext.FallbackToCpu allows.
    /// </summary>
    public static torch.Device Choose(IHostEnvironment environment, IChannel channel)
    {
        if (MLNetInternals.GpuDeviceIdOf(environment) is not int gpu)
            return torch.CPU;
        int count = torch.cuda.is_available() ? torch.cuda.device_count() : 0;
        if (gpu >= 0 && gpu < count)
        {
            if (CudaKernels.OfGpu(gpu).Problem is { } lack)
                channel.Warning(MessageSensitivity.None, $"GPU {gpu} computes by libtorch's operators alone, slower than by kernels of this library: {lack}");
            return torch.device(DeviceType.CUDA, gpu);
        }

        string problem = $"GPU {gpu} (MLContext.GpuDeviceId) is not available: libtorch sees {count} CUDA devices"
            + (count == 0 ? ", and none without the package TorchSharp-cuda-linux or TorchSharp-cuda-windows." : ".");
        if (!MLNetInternals.FallsBackToCpu(environment))
            throw channel.Process(new InvalidOperationException(problem + " Set MLContext.FallbackToCpu to train on the CPU instead."));
        channel.Warning(MessageSensitivity.None, problem + " Training on the CPU.");
        return torch.CPU;
    }
}
