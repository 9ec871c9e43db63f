using System.Collections;

namespace Microsoft.ML.Data;

/// <summary>
/// A vector, dense or sparse: in a sparse one the values that have no index are default values. It shares its arrays
/// with whoever gave them; <see cref="VBufferEditor"/> fills it anew, in the same arrays where they suffice.
/// </summary>
public readonly struct VBuffer<T> : IEnumerable
{
    private readonly T[] _values;
    private readonly int[] _indices;
    private readonly int _count;

    public readonly int Length;

    public VBuffer(int length, T[] values, int[] indices = null) : this(length, length, values, indices)
    {
    }

    public VBuffer(int length, int count, T[] values, int[] indices)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        if ((uint)count > (uint)length || (values?.Length ?? 0) < count)
            throw new ArgumentException("The number of values must be no more than the length, and the array must hold them.",
                nameof(count));
        if (count < length && (indices?.Length ?? 0) < count)
            throw new ArgumentException("A sparse vector needs an index for each value.", nameof(indices));
        Length = length;
        _count = count;
        _values = values;
        _indices = indices;
    }

    public bool IsDense => _count == Length;

    internal T[] ValuesArray => _values;
    internal int[] IndicesArray => _indices;

    /// <summary>The explicit values: all of them in a dense vector.</summary>
    public ReadOnlySpan<T> GetValues() => _values.AsSpan(0, _count);

    /// <summary>The ascending indices of the explicit values of a sparse vector; empty in a dense one.</summary>
    public ReadOnlySpan<int> GetIndices() => IsDense ? default : _indices.AsSpan(0, _count);

    public T GetItemOrDefault(int index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, Length);
        int slot = IsDense ? index : GetIndices().BinarySearch(index);
        return slot < 0 ? default : _values[slot];
    }

    public void GetItemOrDefault(int index, ref T destination) => destination = GetItemOrDefault(index);

    public void CopyTo(ref VBuffer<T> destination)
    {
        var editor = VBufferEditor.Create(ref destination, Length, _count);
        GetValues().CopyTo(editor.Values);
        if (!IsDense)
            GetIndices().CopyTo(editor.Indices);
        destination = editor.Commit();
    }

    /// <summary>Copies the slice of <paramref name="length"/> items from <paramref name="sourceIndex"/> on.</summary>
    public void CopyTo(ref VBuffer<T> destination, int sourceIndex, int length)
    {
        if (IsDense)
        {
            var dense = VBufferEditor.Create(ref destination, length);
            GetValues().Slice(sourceIndex, length).CopyTo(dense.Values);
            destination = dense.Commit();
            return;
        }
        if ((uint)sourceIndex > (uint)Length || (uint)length > (uint)(Length - sourceIndex))
            throw new ArgumentOutOfRangeException(nameof(length));
        var indices = GetIndices();
        int first = LowerBound(indices, sourceIndex);
        int count = LowerBound(indices, sourceIndex + length) - first;
        var editor = VBufferEditor.Create(ref destination, length, count);
        GetValues().Slice(first, count).CopyTo(editor.Values);
        if (count < length)
        {
            for (int i = 0; i < count; i++)
                editor.Indices[i] = indices[first + i] - sourceIndex;
        }
        destination = editor.Commit();

        static int LowerBound(ReadOnlySpan<int> sorted, int value)
        {
            int found = sorted.BinarySearch(value);
            return found < 0 ? ~found : found;
        }
    }

    public void CopyTo(Span<T> destination) => CopyTo(destination, 0);

    public void CopyTo(Span<T> destination, int destinationIndex, T defaultValue = default)
    {
        destination = destination.Slice(destinationIndex, Length);
        var values = GetValues();
        if (IsDense)
        {
            values.CopyTo(destination);
            return;
        }
        destination.Fill(defaultValue);
        var indices = GetIndices();
        for (int i = 0; i < indices.Length; i++)
            destination[indices[i]] = values[i];
    }

    public void CopyToDense(ref VBuffer<T> destination)
    {
        var editor = VBufferEditor.Create(ref destination, Length);
        CopyTo(editor.Values);
        destination = editor.Commit();
    }

    public static void Copy(T[] source, int sourceIndex, ref VBuffer<T> destination, int length)
    {
        var editor = VBufferEditor.Create(ref destination, length);
        source.AsSpan(sourceIndex, length).CopyTo(editor.Values);
        destination = editor.Commit();
    }

    /// <summary>The pairs of index and value: the explicit ones, or all.</summary>
    public IEnumerable<KeyValuePair<int, T>> Items(bool all = false)
    {
        int slot = 0;
        for (int i = 0; i < Length; i++)
        {
            bool isExplicit = IsDense || (slot < _count && _indices[slot] == i);
            if (isExplicit || all)
                yield return KeyValuePair.Create(i, isExplicit ? _values[slot++] : default);
        }
    }

    public IEnumerable<T> DenseValues() => Items(all: true).Select(item => item.Value);

    public IEnumerator GetEnumerator() => DenseValues().GetEnumerator();

    public override string ToString() =>
        IsDense ? $"Dense vector of size {Length}" : $"Sparse vector of size {Length}, {_count} explicit values";
}
