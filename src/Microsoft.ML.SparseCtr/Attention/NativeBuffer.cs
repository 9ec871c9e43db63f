using System.Runtime.InteropServices;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// Memory outside of .NET's heap, aligned to cache lines, that only grows. It may have more elements than an array, and is freed when no one refers to the
/// object any more: who computes with its pointer keeps the object alive.
/// </summary>
internal sealed unsafe class NativeBuffer<T> where T : unmanaged
{
    private const int CacheLine = 64;

    public NativeBuffer()
    {
    }

    /// <param name="count">Elements; they are zeros.</param>
    public NativeBuffer(long count) => Reserve(count);

    public long Length { get; private set; }

    public T* Pointer { get; private set; }

    /// <summary>Makes room for so many; what is there is lost, and zeros take its place, where there was less.</summary>
    /// <exception cref="OutOfMemoryException">There is not so much memory.</exception>
    public void Reserve(long count)
    {
        if (count <= Length)
            return;
        Free();
        Pointer = (T*)NativeMemory.AlignedAlloc(checked((nuint)count * (nuint)sizeof(T)), CacheLine);
        Length = count;
        NativeMemory.Clear(Pointer, (nuint)count * (nuint)sizeof(T));
        // The collector sees this object alone, and would let much memory wait for a collection.
        GC.AddMemoryPressure(count * sizeof(T));
    }

    private void Free()
    {
        if (Length > 0)
            GC.RemoveMemoryPressure(Length * sizeof(T));
        NativeMemory.AlignedFree(Pointer);
        Pointer = null;
        Length = 0;
    }

    ~NativeBuffer() => Free();
}
