// How everything is computed: an operator is called by its name in libtorch's dispatcher. "add.Tensor" is aten::add, overload Tensor;
// "shim::adam_step" is one of the shim's own. Arguments that are not given take the defaults of the operator's schema.
using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using static TorchSharp.torch;

namespace TorchSharp;

internal static unsafe class Operators
{
    private static readonly ConcurrentDictionary<string, nint> Found = Start();

    /// <summary>Calls an operator with one result.</summary>
    public static Tensor Call(string op, params ReadOnlySpan<Arg> arguments) => ToTensor(Invoke(op, arguments)[0]);

    /// <summary>Calls an operator that changes its first argument, and returns that argument.</summary>
    public static Tensor CallInPlace(string op, params ReadOnlySpan<Arg> arguments)
    {
        CallVoid(op, arguments);
        return (Tensor)arguments[0].Object!;
    }

    public static (Tensor, Tensor) CallPair(string op, params ReadOnlySpan<Arg> arguments)
    {
        var results = Invoke(op, arguments);
        return (ToTensor(results[0]), ToTensor(results[1]));
    }

    public static (Tensor, Tensor, Tensor) CallTriple(string op, params ReadOnlySpan<Arg> arguments)
    {
        var results = Invoke(op, arguments);
        return (ToTensor(results[0]), ToTensor(results[1]), ToTensor(results[2]));
    }

    /// <summary>Calls an operator whose result is a list; what is undefined in it is null.</summary>
    public static Tensor[] CallList(string op, params ReadOnlySpan<Arg> arguments) => ToTensors(Invoke(op, arguments));

    public static bool CallBool(string op, params ReadOnlySpan<Arg> arguments) => Invoke(op, arguments)[0].Bits != 0;

    public static long CallLong(string op, params ReadOnlySpan<Arg> arguments) => Invoke(op, arguments)[0].Bits;

    public static double CallDouble(string op, params ReadOnlySpan<Arg> arguments) => Invoke(op, arguments)[0].Number;

    public static nint CallGenerator(string op, params ReadOnlySpan<Arg> arguments) => (nint)Invoke(op, arguments)[0].Bits;

    public static Scalar CallScalar(string op, params ReadOnlySpan<Arg> arguments) => Invoke(op, arguments)[0] switch
    {
        { Kind: NativeValueKind.Double } value => value.Number,
        { Kind: NativeValueKind.Bool } value => value.Bits != 0,
        var value => value.Bits,
    };

    public static void CallVoid(string op, params ReadOnlySpan<Arg> arguments)
    {
        foreach (var result in Invoke(op, arguments))
        {
            if (result.Kind == NativeValueKind.Tensor) Native.torch_tensor_free((nint)result.Bits);
        }
    }

    /// <summary>The part of the first argument that the others select.</summary>
    public static Tensor IndexGet(params ReadOnlySpan<Arg> arguments) => ToTensor(Invoke(&Native.torch_index, 0, arguments)[0]);

    /// <summary>Writes the second argument to the part of the first one that the others select.</summary>
    public static void IndexPut(params ReadOnlySpan<Arg> arguments) => Invoke(&Native.torch_index_put, 0, arguments);

    /// <summary>Null for an undefined tensor, which the API shows as null only where that can happen.</summary>
    public static Tensor ToTensor(NativeValue value) => value.Kind == NativeValueKind.Tensor ? new Tensor((nint)value.Bits) : null!;

    public static Tensor[] ToTensors(ReadOnlySpan<NativeValue> values)
    {
        var tensors = new Tensor[values.Length];
        for (int i = 0; i < tensors.Length; i++) tensors[i] = ToTensor(values[i]);
        return tensors;
    }

    private static ReadOnlySpan<NativeValue> Invoke(string op, ReadOnlySpan<Arg> arguments) =>
        Invoke(&Native.torch_call, Found.TryGetValue(op, out nint found) ? found : Find(op), arguments);

    /// <summary>The results are valid until the thread's next call.</summary>
    [SkipLocalsInit]
    private static ReadOnlySpan<NativeValue> Invoke(delegate*<nint, NativeValue*, int, NativeValue**, int> function, nint op,
        ReadOnlySpan<Arg> arguments)
    {
        int words = 0;
        foreach (ref readonly Arg argument in arguments) words += argument.Words;
        Span<long> lists = words <= 64 ? stackalloc long[64] : new long[words];
        NativeValue* values = stackalloc NativeValue[arguments.Length];
        NativeValue* results;
        int count;
        fixed (long* pinned = lists)
        {
            int used = 0;
            for (int i = 0; i < arguments.Length; i++)
            {
                values[i] = arguments[i].ToNative(lists[used..]);
                used += arguments[i].Words;
            }
            count = Native.Check(function(op, values, arguments.Length, &results));
        }
        foreach (ref readonly Arg argument in arguments) GC.KeepAlive(argument.Object);
        return new ReadOnlySpan<NativeValue>(results, count);
    }

    private static ConcurrentDictionary<string, nint> Start()
    {
        Native.torch_warn_of_slow_blas();
        return new();
    }

    private static nint Find(string op)
    {
        int dot = op.IndexOf('.');
        string name = dot < 0 ? op : op[..dot], overload = dot < 0 ? "" : op[(dot + 1)..];
        Native.Check(Native.torch_find_operator(name.Contains("::") ? name : "aten::" + name, overload, out nint found));
        return Found.GetOrAdd(op, found);
    }
}
