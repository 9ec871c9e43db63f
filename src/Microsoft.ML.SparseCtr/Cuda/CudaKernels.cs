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
    private const string Nothing = "extern \"C\" __global__ void nothing() {}";

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
        SharedBytesOfBlock = driver.SharedBytesOfBlock(gpu);
    }

    /// <summary>Shared memory that a block may have at most.</summary>
    public int SharedBytesOfBlock { get; }

    /// <summary>The kernels of the GPU that a tensor is on; null where it is on none, or kernels cannot be had there.</summary>
    public static CudaKernels? Of(Tensor tensor) => tensor.device_type == DeviceType.CUDA ? OfGpu(tensor.device_index).Kernels : s_emulated;

    /// <summary>The kernels of a GPU, or why they cannot be had.</summary>
    public static (CudaKernels? Kernels, string? Problem) OfGpu(int number) => s_ofGpus.GetOrAdd(number, gpu =>
    {
        try
        {
            var driver = new CudaDriver(LoadDriver());
            var kernels = new CudaKernels(driver, LoadCompiler(driver.ArchitectureOf(gpu)), gpu);
            kernels.LoadNothing();
            return (kernels, null);
        }
        catch (Exception failure) when (failure is DllNotFoundException or EntryPointNotFoundException or InvalidOperationException or ExternalException)
        {
            return (null, failure.Message);
        }
    });

    /// <summary>Loads an empty program: a driver that is older than the compiler may refuse it, and then there are no kernels.</summary>
    private void LoadNothing()
    {
        _driver.PushContext(_context);
        try
        {
            _driver.LoadModule(_compiler.Compile(Nothing, "nothing.cu", _architecture, []));
        }
        finally
        {
            _driver.PopContext();
        }
    }

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
            nint function = _functions.GetOrAdd((module, name), key => _driver.FunctionOf(key.Module, key.Name, sharedBytes));
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

    /// <summary>The compiler that there is on this machine, which need not have a GPU: the first that compiles for an architecture, as what it needs may not be there.</summary>
    /// <exception cref="DllNotFoundException">There is none.</exception>
    public static CudaCompiler LoadCompiler(int architecture)
    {
        // Libtorch's own way to the NVRTC that it came with, which may lie in another folder.
        foreach (string library in FilesOfLibTorch("*caffe2_nvrtc.*"))
            NativeLibrary.TryLoad(library, out _);
        string[] ofLibTorch = FilesOfLibTorch(OperatingSystem.IsWindows() ? "nvrtc*.dll" : "libnvrtc*.so*");
        // NVRTC opens another library, its "builtins", by the name that this has for NVIDIA. In libtorch's packages its file has another one, but once it is loaded it is found.
        foreach (string builtins in ofLibTorch.Where(IsBuiltins))
            NativeLibrary.TryLoad(builtins, out _);

        var problems = new List<string>();
        foreach (string name in ofLibTorch.Where(file => !IsBuiltins(file) && !Path.GetFileName(file).Contains(".alt", StringComparison.Ordinal)).Concat(InstalledCompilers))
        {
            try
            {
                var compiler = new CudaCompiler(NativeLibrary.Load(name));
                compiler.Compile(Nothing, "nothing.cu", architecture, []);
                return compiler;
            }
            catch (Exception failure) when (failure is DllNotFoundException or EntryPointNotFoundException or InvalidOperationException or ExternalException)
            {
                problems.Add(failure is DllNotFoundException ? $"{name} was not found" : $"{name}: {failure.Message}");
            }
        }
        throw new DllNotFoundException($"No NVRTC compiles for sm_{architecture}: {string.Join("; ", problems)}.");

        static bool IsBuiltins(string file) => Path.GetFileName(file).Contains("builtins", StringComparison.Ordinal);
    }

    /// <summary>Those of a CUDA that is installed.</summary>
    private static string[] InstalledCompilers => OperatingSystem.IsWindows()
        ? ["nvrtc64_130_0.dll", "nvrtc64_120_0.dll", "nvrtc64_112_0.dll"]
        : ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2", "libnvrtc.so"];

    /// <summary>Those in the folders that libtorch for CUDA and an NVRTC have been loaded from.</summary>
    private static string[] FilesOfLibTorch(string pattern) => Process.GetCurrentProcess().Modules.Cast<ProcessModule>()
        .Where(module => module.ModuleName.Contains("torch_cuda", StringComparison.Ordinal) || module.ModuleName.Contains("nvrtc", StringComparison.Ordinal))
        .Select(module => Path.GetDirectoryName(module.FileName)!).Distinct().SelectMany(folder => Directory.EnumerateFiles(folder, pattern)).ToArray();

    private static nint LoadDriver()
    {
        string name = OperatingSystem.IsWindows() ? "nvcuda.dll" : "libcuda.so.1";
        return NativeLibrary.TryLoad(name, out nint library) ? library : throw new DllNotFoundException($"CUDA's driver, {name}, was not found.");
    }
}
