using System.Runtime.InteropServices;

namespace Microsoft.ML.SparseCtr;

/// <summary>What kernels need of the driver of NVIDIA's GPUs, by the names of its API (CUDA Driver API).</summary>
internal sealed unsafe class CudaDriver
{
    private const int ComputeCapabilityMajor = 75, ComputeCapabilityMinor = 76, MaxSharedMemoryPerBlockOptin = 97;
    private const int MaxDynamicSharedSizeBytes = 8;

    private readonly delegate* unmanaged<int, byte**, int> _getErrorString;
    private readonly delegate* unmanaged<int*, int, int> _deviceGet;
    private readonly delegate* unmanaged<int*, int, int, int> _deviceGetAttribute;
    private readonly delegate* unmanaged<nint*, int, int> _primaryContextRetain;
    private readonly delegate* unmanaged<nint, int> _contextPush;
    private readonly delegate* unmanaged<nint*, int> _contextPop;
    private readonly delegate* unmanaged<nint*, void*, int> _moduleLoadData;
    private readonly delegate* unmanaged<nint*, nint, byte*, int> _moduleGetFunction;
    private readonly delegate* unmanaged<nint, int, int, int> _functionSetAttribute;
    private readonly delegate* unmanaged<nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, int> _launchKernel;

    /// <param name="library">The driver's library, loaded.</param>
    /// <exception cref="EntryPointNotFoundException">It lacks a function: it is no driver, or one too old.</exception>
    /// <exception cref="ExternalException">It finds no GPU.</exception>
    public CudaDriver(nint library)
    {
        _getErrorString = (delegate* unmanaged<int, byte**, int>)NativeLibrary.GetExport(library, "cuGetErrorString");
        _deviceGet = (delegate* unmanaged<int*, int, int>)NativeLibrary.GetExport(library, "cuDeviceGet");
        _deviceGetAttribute = (delegate* unmanaged<int*, int, int, int>)NativeLibrary.GetExport(library, "cuDeviceGetAttribute");
        _primaryContextRetain = (delegate* unmanaged<nint*, int, int>)NativeLibrary.GetExport(library, "cuDevicePrimaryCtxRetain");
        _contextPush = (delegate* unmanaged<nint, int>)NativeLibrary.GetExport(library, "cuCtxPushCurrent_v2");
        _contextPop = (delegate* unmanaged<nint*, int>)NativeLibrary.GetExport(library, "cuCtxPopCurrent_v2");
        _moduleLoadData = (delegate* unmanaged<nint*, void*, int>)NativeLibrary.GetExport(library, "cuModuleLoadData");
        _moduleGetFunction = (delegate* unmanaged<nint*, nint, byte*, int>)NativeLibrary.GetExport(library, "cuModuleGetFunction");
        _functionSetAttribute = (delegate* unmanaged<nint, int, int, int>)NativeLibrary.GetExport(library, "cuFuncSetAttribute");
        _launchKernel = (delegate* unmanaged<nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, int>)
            NativeLibrary.GetExport(library, "cuLaunchKernel");
        Check(((delegate* unmanaged<uint, int>)NativeLibrary.GetExport(library, "cuInit"))(0), "cuInit");
    }

    /// <summary>Such as 90 for compute capability 9.0, sm_90.</summary>
    public int ArchitectureOf(int gpu) => 10 * AttributeOf(gpu, ComputeCapabilityMajor) + AttributeOf(gpu, ComputeCapabilityMinor);

    /// <summary>Shared memory that a block may have at most: what kernels declare, and what launches give.</summary>
    public int SharedBytesOfBlock(int gpu) => AttributeOf(gpu, MaxSharedMemoryPerBlockOptin);

    private int AttributeOf(int gpu, int attribute)
    {
        int device, value;
        Check(_deviceGet(&device, gpu), "cuDeviceGet");
        Check(_deviceGetAttribute(&value, attribute, device), "cuDeviceGetAttribute");
        return value;
    }

    /// <summary>The context in which libtorch has its memory on a GPU: the primary one, which CUDA's runtime uses.</summary>
    public nint PrimaryContextOf(int gpu)
    {
        int device;
        nint context;
        Check(_deviceGet(&device, gpu), "cuDeviceGet");
        Check(_primaryContextRetain(&context, device), "cuDevicePrimaryCtxRetain");
        return context;
    }

    /// <summary>Makes a context the thread's until it is popped: a thread of libtorch's, such as one of its backward pass, may have none or another.</summary>
    public void PushContext(nint context) => Check(_contextPush(context), "cuCtxPushCurrent");

    public void PopContext()
    {
        nint popped;
        Check(_contextPop(&popped), "cuCtxPopCurrent");
    }

    /// <summary>Loads machine code or PTX into the thread's context.</summary>
    public nint LoadModule(ReadOnlySpan<byte> image)
    {
        nint module;
        fixed (byte* start = image)
            Check(_moduleLoadData(&module, start), "cuModuleLoadData");
        return module;
    }

    /// <summary>A kernel of a module.</summary>
    /// <param name="module">The module.</param>
    /// <param name="name">Its name.</param>
    /// <param name="sharedBytes">Shared memory that its launches give to each block: whatever is more than 48 KB, with what it declares, has to be allowed.</param>
    public nint FunctionOf(nint module, string name, int sharedBytes)
    {
        nint function, nativeName = Marshal.StringToCoTaskMemUTF8(name);
        int result = _moduleGetFunction(&function, module, (byte*)nativeName);
        Marshal.FreeCoTaskMem(nativeName);
        Check(result, "cuModuleGetFunction");
        Check(_functionSetAttribute(function, MaxDynamicSharedSizeBytes, sharedBytes), "cuFuncSetAttribute");
        return function;
    }

    /// <summary>Starts a kernel that takes one structure, on the thread's default stream: the one that libtorch uses where nobody gave it another.</summary>
    public void Launch<T>(nint function, (int X, int Y, int Z) grid, int threads, int sharedBytes, in T parameters) where T : unmanaged
    {
        fixed (T* structure = &parameters)
        {
            void* argument = structure;
            int result = _launchKernel(
                function, (uint)grid.X, (uint)grid.Y, (uint)grid.Z, (uint)threads, 1, 1, (uint)sharedBytes, 0, &argument, null);
            Check(result, "cuLaunchKernel");
        }
    }

    /// <exception cref="ExternalException">It failed: an error such as libtorch's own.</exception>
    private void Check(int result, string function)
    {
        if (result == 0)
            return;
        byte* text;
        string? problem = _getErrorString(result, &text) == 0 ? Marshal.PtrToStringUTF8((nint)text) : null;
        throw new ExternalException($"CUDA: {function} failed with error {result}: {problem ?? "unknown"}.");
    }
}
