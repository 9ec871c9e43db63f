using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Microsoft.ML.SparseCtr;

/// <summary>Writes arrays one after the other, each with its length before it (8 bytes) and its values in little endian.</summary>
internal sealed class ArrayWriter(Stream stream)
{
    public void Write<T>(ReadOnlySpan<T> values) where T : unmanaged
    {
        Span<long> length = [values.Length];
        stream.Write(MemoryMarshal.AsBytes(length));
        // In parts: a span of bytes cannot hold an array of more than 2 GB.
        for (ReadOnlySpan<T> rest = values; !rest.IsEmpty; rest = rest[Math.Min(rest.Length, ArrayReader.PartLength)..])
            stream.Write(MemoryMarshal.AsBytes(rest[..Math.Min(rest.Length, ArrayReader.PartLength)]));
    }

    /// <summary>UTF-16: where each text ends, then all of them. UTF-8 would not bring back text with a broken surrogate pair.</summary>
    public void WriteTexts(IEnumerable<ReadOnlyMemory<char>> texts)
    {
        var ends = new List<long>();
        long end = 0;
        foreach (ReadOnlyMemory<char> text in texts)
            ends.Add(end += text.Length);
        Write<long>(CollectionsMarshal.AsSpan(ends));
        foreach (ReadOnlyMemory<char> text in texts)
            stream.Write(MemoryMarshal.AsBytes(text.Span));
    }
}

/// <summary>
/// Reads what <see cref="ArrayWriter"/> wrote. It trusts no length: memory grows with what has really been read, so that a corrupt file
/// cannot make it reserve more.
/// </summary>
internal sealed class ArrayReader(Stream stream)
{
    internal const int PartLength = 1 << 16;
    private const int MaximumTextLength = 16 << 20;

    /// <exception cref="FormatException">The array has another length.</exception>
    public T[] Read<T>(int length) where T : unmanaged
    {
        T[] values = Read<T>();
        Require(values.Length == length, $"an array has {values.Length:N0} values where {length:N0} are expected");
        return values;
    }

    /// <exception cref="FormatException">The length is none.</exception>
    /// <exception cref="EndOfStreamException">The stream ends before the array does.</exception>
    public T[] Read<T>() where T : unmanaged
    {
        Span<long> length = [0];
        stream.ReadExactly(MemoryMarshal.AsBytes(length));
        Require(length[0] >= 0 && length[0] <= Array.MaxLength, $"an array claims {length[0]:N0} values");
        var count = (int)length[0];
        var values = new T[Math.Min(count, PartLength)];
        for (int start = 0, end; start < count; start = end)
        {
            end = start + Math.Min(PartLength, count - start);
            if (end > values.Length)
                Array.Resize(ref values, (int)Math.Min(count, 2L * values.Length));
            stream.ReadExactly(MemoryMarshal.AsBytes(values.AsSpan(start, end - start)));
        }
        return values;
    }

    public ReadOnlyMemory<char>[] ReadTexts()
    {
        long[] ends = Read<long>();
        var texts = new ReadOnlyMemory<char>[ends.Length];
        var characters = new char[256];
        long start = 0;
        for (int i = 0; i < ends.Length; i++)
        {
            long length = ends[i] - start;
            Require(length >= 0 && length <= MaximumTextLength, $"a text claims {length:N0} characters");
            if (length > characters.Length)
                characters = new char[length];
            Span<char> text = characters.AsSpan(0, (int)length);
            stream.ReadExactly(MemoryMarshal.AsBytes(text));
            texts[i] = text.ToString().AsMemory();
            start = ends[i];
        }
        return texts;
    }

    /// <exception cref="FormatException">What is required does not hold.</exception>
    public static void Require(bool holds, string problem)
    {
        if (!holds)
            throw new FormatException(problem);
    }

    /// <inheritdoc cref="Require(bool, string)"/>
    public static void Require(bool holds, [InterpolatedStringHandlerArgument(nameof(holds))] ref Problem problem)
    {
        if (!holds)
            throw new FormatException(problem.ToString());
    }

    /// <summary>A message that is only put together where it is needed: what is required of millions of values mostly holds.</summary>
    [InterpolatedStringHandler]
    internal ref struct Problem
    {
        private DefaultInterpolatedStringHandler _text;

        public Problem(int literalLength, int formattedCount, bool holds, out bool isNeeded)
        {
            isNeeded = !holds;
            if (isNeeded)
                _text = new DefaultInterpolatedStringHandler(literalLength, formattedCount);
        }

        public void AppendLiteral(string value) => _text.AppendLiteral(value);

        public void AppendFormatted<T>(T value, string? format = null) => _text.AppendFormatted(value, format);

        public override string ToString() => _text.ToStringAndClear();
    }
}
