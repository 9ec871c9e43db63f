using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// Carries the memory that a state is in to a stream, or back from one. What has a state says what it is in one method for both, so that what is read is what was written.
/// </summary>
/// <param name="stream">The stream.</param>
/// <param name="isReading">Whether the state comes from it.</param>
internal sealed unsafe class StateStream(Stream stream, bool isReading)
{
    // Spans of bytes are limited to 2 GB, arrays are not.
    private const int PartLength = 1 << 20;

    public bool IsReading => isReading;

    /// <summary>Carries values, of which as many are read as were written.</summary>
    public void Carry<T>(Span<T> values) where T : unmanaged
    {
        for (int start = 0; start < values.Length; start += PartLength)
        {
            Span<byte> part = MemoryMarshal.AsBytes(values[start..Math.Min(values.Length, start + PartLength)]);
            if (isReading)
                stream.ReadExactly(part);
            else
                stream.Write(part);
        }
    }

    /// <summary>Carries one value.</summary>
    public void Carry<T>(ref T value) where T : unmanaged => Carry(new Span<T>(ref value));

    /// <summary>Carries an array and its length: another one is read than was there.</summary>
    public void Carry<T>(ref T[] values) where T : unmanaged
    {
        int length = values.Length;
        Carry(ref length);
        if (isReading)
            values = new T[length];
        Carry(values.AsSpan());
    }

    /// <summary>Carries the elements of a tensor of floating-point numbers as float32, wherever it is: what was written from one device is read to any.</summary>
    public void Carry(Tensor values)
    {
        if (TensorMemory.IsDirect(values) && values.is_contiguous())
        {
            Carry(TensorMemory.Floats(values), values.numel());
            GC.KeepAlive(values);
            return;
        }
        using IDisposable noGradient = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor copy = values.to(ScalarType.Float32, CPU).contiguous();
        Carry(TensorMemory.Floats(copy), copy.numel());
        if (isReading)
            values.copy_(copy);
        GC.KeepAlive(copy);
    }

    /// <summary>Carries more values than a span may have.</summary>
    private void Carry(float* values, long count)
    {
        for (long start = 0; start < count; start += PartLength)
            Carry(new Span<float>(values + start, (int)Math.Min(PartLength, count - start)));
    }
}
