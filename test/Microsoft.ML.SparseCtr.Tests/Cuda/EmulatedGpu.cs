using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>
/// A GPU for tests on machines without one: a library that stands for CUDA's driver and for NVRTC at once, and runs kernels on the CPU. It is built
/// once per process, by the machine's C++ compiler, which it also calls to compile kernels.
/// </summary>
internal static unsafe class EmulatedGpu
{
    private static readonly Lazy<string> s_library = new(Build);

    /// <summary>The library; a test that asks for it is skipped where it cannot be built.</summary>
    public static string Library
    {
        get
        {
            Skip.IfNot(OperatingSystem.IsLinux(), "the emulated GPU needs Linux");
            string[] folders = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator);
            Skip.IfNot(folders.Any(folder => File.Exists(Path.Combine(folder, "c++"))), "no c++ is on the PATH");
            return s_library.Value;
        }
    }

    /// <summary>Kernels that have been launched so far.</summary>
    public static long Launches => ((delegate* unmanaged<long>)Function("emulator_launches"))();

    /// <summary>Has the threads of a block run from the last to the first between barriers, or again from the first to the last.</summary>
    public static void ReverseThreads(bool reverse) => ((delegate* unmanaged<int, void>)Function("emulator_reverse_threads"))(reverse ? 1 : 0);

    private static nint Function(string name) => NativeLibrary.GetExport(NativeLibrary.Load(Library), name);

    private static string Build()
    {
        string folder = Directory.CreateTempSubdirectory("emulated-gpu-").FullName, library = Path.Combine(folder, "libcuda-emulator.so");
        AppDomain.CurrentDomain.ProcessExit += (_, _) => Directory.Delete(folder, recursive: true);
        string[] sources = Directory.GetFiles(Path.Combine(AppContext.BaseDirectory, "Cuda", "Emulator"), "*.cpp");
        // Kernels' libraries ask for it by its name.
        string[] arguments = ["-std=c++17", "-O2", "-shared", "-fPIC", "-Wl,-soname,libcuda-emulator.so", .. sources, "-o", library, "-ldl"];
        using Process compiler = Process.Start(new ProcessStartInfo("c++", arguments) { RedirectStandardError = true })!;
        string errors = compiler.StandardError.ReadToEnd();
        compiler.WaitForExit();
        return compiler.ExitCode == 0 ? library : throw new InvalidOperationException(errors);
    }
}
