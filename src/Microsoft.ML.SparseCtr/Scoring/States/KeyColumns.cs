using static Microsoft.ML.SparseCtr.SmallMatrix;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// The keys and values that queries see in one branch of one block, by columns that are written again and again: head by head, keys as the columns of a matrix
/// [d_h, columns], and values as the rows of one [columns, d_h]. Columns that are not written yet are zeros.
/// </summary>
internal sealed unsafe class KeyColumns(int heads, int headDimension)
{
    private float[] _keys = [], _values = [];

    /// <summary>From a row of a head's keys to the next.</summary>
    public int Capacity { get; private set; }

    /// <summary>From a head's value to the next: d_h, filled with zeros up to a multiple of a vector.</summary>
    public int ValueStride { get; } = RoundUp(headDimension, Lanes);

    public long ByteSize => (_keys.LongLength + _values.LongLength) * sizeof(float);

    /// <summary>A head's keys, [d_h, <see cref="Capacity"/>].</summary>
    public ReadOnlySpan<float> KeysOf(int head) => _keys.AsSpan(head * headDimension * Capacity, headDimension * Capacity);

    /// <summary>A head's values, [<see cref="Capacity"/>, <see cref="ValueStride"/>].</summary>
    public ReadOnlySpan<float> ValuesOf(int head) => _values.AsSpan(head * Capacity * ValueStride, Capacity * ValueStride);

    /// <summary>Makes room for so many columns.</summary>
    public void Reserve(int columns)
    {
        if (columns <= Capacity)
            return;
        int capacity = RoundUp(Math.Max(columns, 2 * Capacity), Lanes);
        var (keys, values) = (new float[checked(heads * headDimension * capacity)], new float[checked(heads * capacity * ValueStride)]);
        for (int row = 0; row < heads * headDimension; row++)
            _keys.AsSpan(row * Capacity, Capacity).CopyTo(keys.AsSpan(row * capacity));
        for (int head = 0; head < heads; head++)
            ValuesOf(head).CopyTo(values.AsSpan(head * capacity * ValueStride));
        (_keys, _values, Capacity) = (keys, values, capacity);
    }

    /// <summary>Writes a key and its value, [2·d], each number of them scaled.</summary>
    public void Write(int column, ReadOnlySpan<float> keyAndValue, float scale = 1)
    {
        ReadOnlySpan<float> key = keyAndValue[..(heads * headDimension)], value = keyAndValue[key.Length..];
        for (int i = 0; i < key.Length; i++)
            _keys[i * Capacity + column] = key[i] * scale;
        for (int head = 0, i = 0; head < heads; head++)
        {
            Span<float> row = ValueOf(head, column);
            for (int slot = 0; slot < row.Length; slot++, i++)
                row[slot] = value[i] * scale;
        }
    }

    /// <summary>Reads a key and its value, [2·d].</summary>
    public void Read(int column, Span<float> keyAndValue)
    {
        Span<float> key = keyAndValue[..(heads * headDimension)], value = keyAndValue[key.Length..];
        for (int i = 0; i < key.Length; i++)
            key[i] = _keys[i * Capacity + column];
        for (int head = 0; head < heads; head++)
            ValueOf(head, column).CopyTo(value[(head * headDimension)..]);
    }

    private Span<float> ValueOf(int head, int column) => _values.AsSpan((head * Capacity + column) * ValueStride, headDimension);
}
