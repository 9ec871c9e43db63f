using System.Runtime.InteropServices;
using System.Text;

namespace Microsoft.ML.SparseCtr;

/// <summary>Compiles CUDA C++ while the program runs (NVRTC, which comes with every libtorch for CUDA).</summary>
internal sealed unsafe class CudaCompiler
{
    private readonly delegate* unmanaged<int, byte*> _getErrorString;
    private readonly delegate* unmanaged<nint*, byte*, byte*, int, byte**, byte**, int> _createProgram;
    private readonly delegate* unmanaged<nint, int, byte**, int> _compileProgram;
    private readonly delegate* unmanaged<nint*, int> _destroyProgram;
    private readonly delegate* unmanaged<nint, nuint*, int> _getLogSize, _getCubinSize, _getPtxSize;
    private readonly delegate* unmanaged<nint, byte*, int> _getLog, _getCubin, _getPtx;
    private readonly int[] _architectures;

    /// <param name="library">NVRTC's library, loaded.</param>
    /// <exception cref="EntryPointNotFoundException">It lacks a function: it is no NVRTC, or one older than 11.2.</exception>
    public CudaCompiler(nint library)
    {
        _getErrorString = (delegate* unmanaged<int, byte*>)NativeLibrary.GetExport(library, "nvrtcGetErrorString");
        _createProgram = (delegate* unmanaged<nint*, byte*, byte*, int, byte**, byte**, int>)NativeLibrary.GetExport(library, "nvrtcCreateProgram");
        _compileProgram = (delegate* unmanaged<nint, int, byte**, int>)NativeLibrary.GetExport(library, "nvrtcCompileProgram");
        _destroyProgram = (delegate* unmanaged<nint*, int>)NativeLibrary.GetExport(library, "nvrtcDestroyProgram");
        _getLogSize = (delegate* unmanaged<nint, nuint*, int>)NativeLibrary.GetExport(library, "nvrtcGetProgramLogSize");
        _getLog = (delegate* unmanaged<nint, byte*, int>)NativeLibrary.GetExport(library, "nvrtcGetProgramLog");
        _getCubinSize = (delegate* unmanaged<nint, nuint*, int>)NativeLibrary.GetExport(library, "nvrtcGetCUBINSize");
        _getCubin = (delegate* unmanaged<nint, byte*, int>)NativeLibrary.GetExport(library, "nvrtcGetCUBIN");
        _getPtxSize = (delegate* unmanaged<nint, nuint*, int>)NativeLibrary.GetExport(library, "nvrtcGetPTXSize");
        _getPtx = (delegate* unmanaged<nint, byte*, int>)NativeLibrary.GetExport(library, "nvrtcGetPTX");

        int count;
        Check(((delegate* unmanaged<int*, int>)NativeLibrary.GetExport(library, "nvrtcGetNumSupportedArchs"))(&count), "nvrtcGetNumSupportedArchs");
        _architectures = new int[count];
        fixed (int* architectures = _architectures)
            Check(((delegate* unmanaged<int*, int>)NativeLibrary.GetExport(library, "nvrtcGetSupportedArchs"))(architectures), "nvrtcGetSupportedArchs");
    }

    /// <summary>Compiles for an architecture to machine code or, for one newer than the compiler, to PTX, which the driver compiles further.</summary>
    /// <param name="source">The program.</param>
    /// <param name="fileName">What messages call it.</param>
    /// <param name="architecture">Such as 90 for sm_90.</param>
    /// <param name="constants">What names stand for.</param>
    /// <exception cref="InvalidOperationException">It does not compile, and the message holds the compiler's; or the architecture is too old.</exception>
    public byte[] Compile(string source, string fileName, int architecture, IEnumerable<(string Name, object Value)> constants)
    {
        if (_architectures.Min() > architecture)
            throw new InvalidOperationException($"NVRTC compiles for sm_{_architectures.Min()} and newer architectures, not for sm_{architecture}");
        bool isKnown = _architectures.Contains(architecture);
        string target = isKnown ? $"sm_{architecture}" : $"compute_{_architectures.Where(known => known < architecture).Max()}";
        string[] options = [$"--gpu-architecture={target}", "--std=c++17", .. constants.Select(constant => $"-D{constant.Name}={constant.Value}")];

        nint program;
        fixed (byte* text = Utf8(source), name = Utf8(fileName))
            Check(_createProgram(&program, text, name, 0, null, null), "nvrtcCreateProgram");
        try
        {
            if (CompileWith(program, options) is var result and not 0)
                throw new InvalidOperationException($"{fileName} does not compile for {target} ({ErrorOf(result)}):\n{Encoding.UTF8.GetString(Read(program, _getLogSize, _getLog)).TrimEnd('\0')}");
            return isKnown ? Read(program, _getCubinSize, _getCubin) : Read(program, _getPtxSize, _getPtx);
        }
        finally
        {
            _destroyProgram(&program);
        }
    }

    private int CompileWith(nint program, string[] options)
    {
        byte** pointers = stackalloc byte*[options.Length];
        for (int i = 0; i < options.Length; i++)
            pointers[i] = (byte*)Marshal.StringToCoTaskMemUTF8(options[i]);
        int result = _compileProgram(program, options.Length, pointers);
        for (int i = 0; i < options.Length; i++)
            Marshal.FreeCoTaskMem((nint)pointers[i]);
        return result;
    }

    private byte[] Read(nint program, delegate* unmanaged<nint, nuint*, int> getSize, delegate* unmanaged<nint, byte*, int> get)
    {
        nuint size;
        Check(getSize(program, &size), "NVRTC");
        var bytes = new byte[size];
        fixed (byte* start = bytes)
            Check(get(program, start), "NVRTC");
        return bytes;
    }

    private static byte[] Utf8(string text) => Encoding.UTF8.GetBytes(text + '\0');

    private string? ErrorOf(int result) => Marshal.PtrToStringUTF8((nint)_getErrorString(result));

    private void Check(int result, string function)
    {
        if (result != 0)
            throw new ExternalException($"CUDA: {function} failed: {ErrorOf(result)}.");
    }
}
