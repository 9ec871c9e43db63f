// The elements of a tensor as .NET values: reads and writes its memory, following its strides.
using System.Collections;
using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace TorchSharp.Utils;

public sealed unsafe class TensorAccessor<T> : IDisposable, IEnumerable<T> where T : unmanaged
{
    private readonly Tensor tensor;
    private readonly T* elements;
    private readonly long[] shape, strides;

    internal TensorAccessor(Tensor tensor)
    {
        tensor.RequireCpu();
        (this.tensor, shape, strides) = (tensor, tensor.shape, tensor.stride());
        elements = (T*)tensor.Describe().Data;
    }

    public long Count => tensor.NumberOfElements;

    public bool IsReadOnly => false;

    public T this[params long[] indices]
    {
        get => *At(indices);
        set => *At(indices) = value;
    }

    public T[] ToArray()
    {
        // As the real one does, which finds its first index in a tensor of several dimensions by counting.
        if (shape.Length > 1 && Count == 0) throw new ArgumentOutOfRangeException("startingIndex");
        var array = new T[Count];
        CopyTo(array);
        return array;
    }

    /// <summary>An array with as many dimensions as the tensor (one, for a scalar).</summary>
    public Array ToNDArray()
    {
        if (shape.Length <= 1) return ToArray();
        var array = Array.CreateInstance(typeof(T), shape);
        var bytes = MemoryMarshal.CreateSpan(ref MemoryMarshal.GetArrayDataReference(array), checked((int)(Count * sizeof(T))));
        CopyTo(MemoryMarshal.Cast<byte, T>(bytes));
        return array;
    }

    public void CopyTo(T[] array, int arrayIndex = 0, long tensorIndex = 0) => CopyTo(array.AsSpan(), arrayIndex, tensorIndex);

    public void CopyTo(Span<T> array, int arrayIndex = 0, long tensorIndex = 0)
    {
        int count = (int)Math.Min(array.Length - arrayIndex, Count - tensorIndex);
        if (tensor.is_contiguous())
        {
            new Span<T>(elements + tensorIndex, count).CopyTo(array[arrayIndex..]);
            return;
        }
        for (int i = 0; i < count; i++) array[arrayIndex + i] = *At(tensorIndex + i);
    }

    public void CopyFrom(T[] array, int arrayIndex = 0, long tensorIndex = 0) => CopyFrom(array.AsSpan(), arrayIndex, tensorIndex);

    public void CopyFrom(ReadOnlySpan<T> array, int arrayIndex = 0, long tensorIndex = 0)
    {
        int count = (int)Math.Min(array.Length - arrayIndex, Count - tensorIndex);
        for (int i = 0; i < count; i++) *At(tensorIndex + i) = array[arrayIndex + i];
    }

    public IEnumerator<T> GetEnumerator()
    {
        for (long i = 0; i < Count; i++) yield return this[i];
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    public void Dispose()
    {
    }

    private T* At(long[] indices)
    {
        if (indices.Length == 1) return At(indices[0]);
        if (indices.Length != shape.Length)
            throw new ArgumentException($"{indices.Length} indices for a tensor of {shape.Length} dimensions.");
        long offset = 0;
        for (int i = 0; i < indices.Length; i++)
        {
            if ((ulong)indices[i] >= (ulong)shape[i])
                throw new IndexOutOfRangeException($"Index {indices[i]} is out of range in dimension {i} of size {shape[i]}.");
            offset += indices[i] * strides[i];
        }
        return elements + offset;
    }

    /// <summary>The element at a position in row-major order.</summary>
    private T* At(long position)
    {
        if ((ulong)position >= (ulong)Count)
            throw new IndexOutOfRangeException($"Index {position} is out of range for a tensor of {Count} elements.");
        long offset = 0;
        for (int i = shape.Length - 1; i >= 0; i--)
        {
            position = Math.DivRem(position, shape[i], out long index);
            offset += index * strides[i];
        }
        return elements + offset;
    }
}
