using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// The kernels of this library, CUDA C++ that is embedded in the assembly, on one GPU: compiled at first use, once for all GPUs of an architecture, and launched
/// in the order of libtorch's own.
/// </summary>
internal sealed class CudaKernels
{
    private static readonly ConcurrentDictionary<int, (CudaKernels? Kernels, string? Problem)> s_ofGpus = new();
    private static readonly ConcurrentDictionary<string, byte[]> s_images = new();
    private static CudaKernels? s_emulated;

    private readonly CudaDriver _driver;
    private readonly CudaCompiler _compiler;
    private readonly int _architecture;
    private readonly nint _context;
    private readonly ConcurrentDictionary<string, nint> _modules = new();
    private readonly ConcurrentDictionary<(nint Module, string Name), nint> _functions = new();

    private CudaKernels(CudaDriver driver, CudaCompiler compiler, int gpu)
    {
        (_driver, _compiler) = (driver, compiler);
        (_architecture, _context) = (driver.ArchitectureOf(gpu), driver.PrimaryContextOf(gpu));
    }

    /// <summary>The kernels of the GPU that a tensor is on; null where it is on none, or kernels cannot be had there.</summary>
    public static CudaKernels? Of(Tensor tensor) => tensor.device_type == DeviceType.CUDA ? OfGpu(tensor.device_index).Kernels : s_emulated;

    /// <summary>The kernels of a GPU, or why they cannot be had.</summary>
    public static (CudaKernels? Kernels, string? Problem) OfGpu(int number) => s_ofGpus.GetOrAdd(number, gpu =>
    {
        try
        {
            return (new CudaKernels(new CudaDriver(LoadFirst("CUDA's driver", DriverNames)), LoadCompiler(), gpu), null);
        }
        catch (Exception failure) when (failure is DllNotFoundException or EntryPointNotFoundException or ExternalException)
        {
            return (null, failure.Message);
        }
    });

    /// <summary>Has kernels run on tensors in the CPU's memory until it is disposed of, by a library that stands in for both the driver and the compiler.</summary>
    public static IDisposable Emulate(string library)
    {
        nint loaded = NativeLibrary.Load(library);
        s_emulated = new CudaKernels(new CudaDriver(loaded), new CudaCompiler(loaded), gpu: 0);
        return new Emulation();
    }

    private sealed class Emulation : IDisposable
    {
        public void Dispose() => s_emulated = null;
    }

    /// <summary>Launches a kernel.</summary>
    /// <param name="program">Its program, compiled at first use.</param>
    /// <param name="name">Its name.</param>
    /// <param name="grid">Blocks in each direction; nothing is launched where there are none.</param>
    /// <param name="parameters">What it takes, a structure that the program declares alike.</param>
    /// <param name="sharedBytes">Dynamic shared memory of each block.</param>
    public void Launch<T>(CudaProgram program, string name, (int X, int Y, int Z) grid, in T parameters, int sharedBytes = 0) where T : unmanaged
    {
        if (grid.X == 0 || grid.Y == 0 || grid.Z == 0)
            return;
        _driver.PushContext(_context);
        try
        {
            nint module = _modules.GetOrAdd(program.Key, _ => _driver.LoadModule(ImageOf(program)));
            nint function = _functions.GetOrAdd((module, name), key => _driver.FunctionOf(key.Module, key.Name));
            _driver.Launch(function, grid, program.Threads, sharedBytes, parameters);
        }
        finally
        {
            _driver.PopContext();
        }
    }

    private byte[] ImageOf(CudaProgram program)
        => s_images.GetOrAdd($"{(this == s_emulated ? "emulated" : _architecture)} {program.Key}", _ => program.Compile(_compiler, _architecture));

    // --- libraries -------------------------------------------------------------------------------------------------------------------

    /// <summary>The compiler that there is on this machine, which need not have a GPU.</summary>
    /// <exception cref="DllNotFoundException">There is none.</exception>
    public static CudaCompiler LoadCompiler() => new(LoadFirst("NVRTC", CompilerNames()));

    private static string[] DriverNames => OperatingSystem.IsWindows() ? ["nvcuda.dll"] : ["libcuda.so.1"];

    /// <summary>The NVRTC that lies beside libtorch, under a name of the package's own, and those of a CUDA that is installed.</summary>
    private static IEnumerable<string> CompilerNames()
    {
        string pattern = OperatingSystem.IsWindows() ? "nvrtc64_*.dll" : "libnvrtc*.so*";
        IEnumerable<string> folders = Process.GetCurrentProcess().Modules.Cast<ProcessModule>()
            .Where(module => module.ModuleName.Contains("torch_cuda", StringComparison.Ordinal)).Select(module => Path.GetDirectoryName(module.FileName)!);
        IEnumerable<string> beside = folders.Distinct().SelectMany(folder => Directory.EnumerateFiles(folder, pattern))
            .Where(file => !Path.GetFileName(file).Contains("builtins", StringComparison.Ordinal) && !Path.GetFileName(file).Contains(".alt", StringComparison.Ordinal));
        return OperatingSystem.IsWindows()
            ? [.. beside, "nvrtc64_130_0.dll", "nvrtc64_120_0.dll", "nvrtc64_112_0.dll"]
            : [.. beside, "libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2", "libnvrtc.so"];
    }

    private static nint LoadFirst(string what, IEnumerable<string> names)
    {
        foreach (string name in names)
        {
            if (NativeLibrary.TryLoad(name, out nint library))
                return library;
        }
        throw new DllNotFoundException($"{what} was not found: looked for {string.Join(", ", names)}.");
    }
}
