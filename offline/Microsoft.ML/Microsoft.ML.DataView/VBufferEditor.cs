namespace Microsoft.ML.Data;

/// <summary>Starts the filling of a <see cref="VBuffer{T}"/>.</summary>
public static class VBufferEditor
{
    /// <summary>An editor of the present content, in place.</summary>
    public static VBufferEditor<T> CreateFromBuffer<T>(ref VBuffer<T> destination) =>
        Create(ref destination, destination.Length, destination.GetValues().Length);

    /// <summary>
    /// An editor for <paramref name="newLogicalLength"/> items, of which <paramref name="valuesCount"/> (by default all) are explicit,
    /// in the arrays of <paramref name="destination"/> if they are large enough.
    /// </summary>
    public static VBufferEditor<T> Create<T>(ref VBuffer<T> destination, int newLogicalLength, int? valuesCount = null,
        int? maxValuesCapacity = null, bool keepOldOnResize = false, bool requireIndicesOnDense = false)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(newLogicalLength);
        int count = valuesCount ?? newLogicalLength;
        if ((uint)count > (uint)newLogicalLength)
            throw new ArgumentOutOfRangeException(nameof(valuesCount));
        int maxCapacity = maxValuesCapacity ?? newLogicalLength;
        var values = EnsureSize(destination.ValuesArray, count, maxCapacity, keepOldOnResize);
        var indices = count < newLogicalLength || requireIndicesOnDense
            ? EnsureSize(destination.IndicesArray, count, maxCapacity, keepOldOnResize)
            : destination.IndicesArray;
        return new VBufferEditor<T>(newLogicalLength, count, values, indices,
            createdNewValues: values != destination.ValuesArray, createdNewIndices: indices != destination.IndicesArray);
    }

    private static TItem[] EnsureSize<TItem>(TItem[] array, int size, int maxCapacity, bool keepOld)
    {
        int capacity = array?.Length ?? 0;
        if (capacity >= size)
            return array ?? [];
        int newCapacity = Math.Max(size, Math.Min(2 * capacity, maxCapacity));
        if (!keepOld)
            return new TItem[newCapacity];
        Array.Resize(ref array, newCapacity);
        return array;
    }
}

/// <summary>The writable arrays of a vector under construction; <see cref="Commit"/> makes the vector.</summary>
public readonly ref struct VBufferEditor<T>
{
    private readonly int _length;
    private readonly T[] _valuesArray;
    private readonly int[] _indicesArray;

    public readonly Span<T> Values;
    public readonly Span<int> Indices;

    internal VBufferEditor(int length, int count, T[] values, int[] indices, bool createdNewValues, bool createdNewIndices)
    {
        _length = length;
        _valuesArray = values;
        _indicesArray = indices;
        Values = values.AsSpan(0, count);
        Indices = indices is null || indices.Length < count ? default : indices.AsSpan(0, count);
        CreatedNewValues = createdNewValues;
        CreatedNewIndices = createdNewIndices;
    }

    public bool CreatedNewValues { get; }

    public bool CreatedNewIndices { get; }

    public VBuffer<T> Commit() => new(_length, Values.Length, _valuesArray, _indicesArray);

    /// <summary>The vector of the first <paramref name="physicalValuesCount"/> values that were written.</summary>
    public VBuffer<T> CommitTruncated(int physicalValuesCount) => new(_length, physicalValuesCount, _valuesArray, _indicesArray);
}
