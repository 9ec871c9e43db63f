// The functions of libTorchShim, and the one place where their failures become exceptions.
using System.Runtime.InteropServices;

[assembly: System.Runtime.CompilerServices.DisableRuntimeMarshalling]

namespace TorchSharp;

internal static unsafe partial class Native
{
    private const string Library = "TorchShim";

    /// <summary>
    /// Before libtorch, and OpenMP with it, is loaded: its threads are to sleep while they wait for each other. By default they spin, which
    /// on a machine with anything else to do makes a step many times slower. Who has set the variable means it.
    /// </summary>
    static Native() => setenv("OMP_WAIT_POLICY", "passive", overwrite: 0);

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int setenv(string name, string value, int overwrite);

    /// <summary>Mirrors <c>Description</c> in tensors.cpp.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct TensorDescription
    {
        public long Dimensions, Elements, ElementSize, StorageOffset;
        public long* Sizes, Strides;
        public void* Data;
        public int ScalarType, DeviceType, DeviceIndex;
        public byte RequiresGrad, HasGrad, IsLeaf, IsContiguous, IsSparse;
    }

    /// <summary>Mirrors <c>FunctionCall</c> in autograd.cpp.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct FunctionCall
    {
        public byte* Name;
        public nint Context;
        public delegate* unmanaged<nint, nint, NativeValue*, int, nint*, int, nint, int> Backward;
        public delegate* unmanaged<nint, void> Release;
        public byte MaterializeGrads;
        public NativeValue Inputs, Outputs, Dirty, NonDifferentiable, Saved;
    }

    [LibraryImport(Library)]
    private static partial byte* torch_last_error();

    [LibraryImport(Library)]
    public static partial void torch_warn_of_slow_blas();

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int torch_find_operator(string name, string overload, out nint result);

    [LibraryImport(Library)]
    public static partial int torch_call(nint op, NativeValue* arguments, int count, NativeValue** results);

    [LibraryImport(Library)]
    public static partial int torch_index(nint unused, NativeValue* arguments, int count, NativeValue** results);

    [LibraryImport(Library)]
    public static partial int torch_index_put(nint unused, NativeValue* arguments, int count, NativeValue** results);

    [LibraryImport(Library)]
    [SuppressGCTransition]
    public static partial void torch_tensor_describe(nint tensor, TensorDescription* result);

    [LibraryImport(Library)]
    public static partial void torch_tensor_free(nint tensor);

    [LibraryImport(Library)]
    [SuppressGCTransition]
    public static partial nint torch_tensor_share(nint tensor);

    [LibraryImport(Library)]
    [SuppressGCTransition]
    public static partial nint torch_tensor_grad(nint tensor);

    [LibraryImport(Library)]
    public static partial int torch_tensor_set_grad(nint tensor, nint grad);

    [LibraryImport(Library)]
    public static partial int torch_tensor_wrap(void* data, long* sizes, int dimensions, int dtype,
        delegate* unmanaged<nint, void> release, nint owner, nint* result);

    [LibraryImport(Library)]
    public static partial int torch_record_function(FunctionCall* call);

    [LibraryImport(Library)]
    public static partial int torch_saved_tensors(nint node, NativeValue** results);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial void torch_set_error(nint error, string message);

    [LibraryImport(Library)]
    [SuppressGCTransition]
    public static partial byte torch_is_grad_enabled();

    [LibraryImport(Library)]
    [SuppressGCTransition]
    public static partial void torch_set_grad_enabled(byte enabled);

    [LibraryImport(Library)]
    public static partial nint torch_enter_inference_mode(byte enabled);

    [LibraryImport(Library)]
    public static partial void torch_leave_inference_mode(nint mode);

    [LibraryImport(Library)]
    public static partial byte torch_is_inference_mode_enabled();

    [LibraryImport(Library)]
    public static partial void torch_generator_free(nint generator);

    /// <summary>The count that a native function returned, or the exception for its failure.</summary>
    public static int Check(int status) =>
        status >= 0 ? status : throw new ExternalException(Marshal.PtrToStringUTF8((nint)torch_last_error()));
}
