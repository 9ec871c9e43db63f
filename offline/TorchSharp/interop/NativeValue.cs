// One argument of an operator: what it is in C# (Arg), and how it crosses the border to the shim (NativeValue).
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;

namespace TorchSharp;

/// <summary>Mirrors <c>shim::Kind</c>.</summary>
internal enum NativeValueKind { None, Tensor, Int, Double, Bool, IntList, TensorList, String, Device, Generator }

/// <summary>Mirrors <c>shim::Value</c>: the bits are a number, or a pointer to a tensor, generator or list.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct NativeValue
{
    public NativeValueKind Kind;
    public int Length;
    public long Bits;

    public readonly double Number => BitConverter.Int64BitsToDouble(Bits);
}

/// <summary>An argument. A null of any type is "none": the operator's optional argument is absent.</summary>
internal readonly struct Arg
{
    public readonly NativeValueKind Kind;
    public readonly long Bits;
    public readonly object? Object;

    private Arg(NativeValueKind kind, long bits, object? @object = null) => (Kind, Bits, Object) = (kind, bits, @object);

    public static Arg None => default;

    private static Arg Of(NativeValueKind kind, object? value) => value is null ? default : new Arg(kind, 0, value);

    public static implicit operator Arg(torch.Tensor? value) => Of(NativeValueKind.Tensor, value);
    public static implicit operator Arg(torch.Tensor?[]? value) => Of(NativeValueKind.TensorList, value);
    public static implicit operator Arg(torch.Generator? value) => Of(NativeValueKind.Generator, value);
    public static implicit operator Arg(string? value) => Of(NativeValueKind.String, value);
    public static implicit operator Arg(long[]? value) => Of(NativeValueKind.IntList, value);
    public static implicit operator Arg(ReadOnlySpan<long> value) => value.ToArray();
    public static implicit operator Arg(Scalar? value) => value is null ? default : value.Value;
    public static implicit operator Arg(long? value) => value is { } bits ? new Arg(NativeValueKind.Int, bits) : default;
    public static implicit operator Arg(bool? value) => value is { } bit ? new Arg(NativeValueKind.Bool, bit ? 1 : 0) : default;
    public static implicit operator Arg(torch.ScalarType? value) => (long?)value;

    public static implicit operator Arg(double? value) =>
        value is { } number ? new Arg(NativeValueKind.Double, BitConverter.DoubleToInt64Bits(number)) : default;

    public static implicit operator Arg(torch.Device? value) =>
        value is null ? default : new Arg(NativeValueKind.Device, (long)value.type | ((long)value.index << 8));

    /// <summary>How many 8-byte words the value needs beside its own <see cref="NativeValue"/>.</summary>
    public int Words => Object switch
    {
        long[] integers => integers.Length,
        torch.Tensor?[] tensors => tensors.Length,
        string text => (Encoding.UTF8.GetMaxByteCount(text.Length) + 7) / 8,
        _ => 0,
    };

    /// <summary>The value for the shim; lists are written to <paramref name="words"/>, which must be pinned.</summary>
    public unsafe NativeValue ToNative(Span<long> words)
    {
        var value = new NativeValue { Kind = Kind, Bits = Bits };
        switch (Object)
        {
            case torch.Tensor tensor:
                value.Bits = tensor.Handle;
                break;
            case torch.Generator generator:
                value.Bits = generator.Handle;
                break;
            case long[] integers:
                integers.CopyTo(words);
                value.Length = integers.Length;
                break;
            case torch.Tensor?[] tensors:
                for (int i = 0; i < tensors.Length; i++) words[i] = tensors[i]?.Handle ?? 0;
                value.Length = tensors.Length;
                break;
            case string text:
                value.Length = Encoding.UTF8.GetBytes(text, MemoryMarshal.AsBytes(words));
                break;
        }
        if (Object is Array or string) value.Bits = (nint)Unsafe.AsPointer(ref MemoryMarshal.GetReference(words));
        return value;
    }
}
