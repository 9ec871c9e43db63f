namespace Microsoft.ML.SparseCtr;

/// <summary>
/// A list that grows block by block: what is there is never copied, and no more is reserved than is used but for a part of one block.
/// </summary>
internal sealed class Blocks<T>
{
    private const int BlockBits = 16;
    private const int BlockSize = 1 << BlockBits;

    private readonly List<T[]> _blocks = [];

    public int Count { get; private set; }

    public ref T this[int index] => ref _blocks[index >> BlockBits][index & (BlockSize - 1)];

    public void Add(T value)
    {
        int place = Count & (BlockSize - 1);
        if (place == 0)
            _blocks.Add(new T[BlockSize]);
        _blocks[^1][place] = value;
        Count++;
    }

    public void AddRange(ReadOnlySpan<T> values)
    {
        foreach (T value in values)
            Add(value);
    }

    /// <summary>The values at the given places, in their order.</summary>
    public T[] Gather(int[] places)
    {
        var result = new T[places.Length];
        for (int i = 0; i < places.Length; i++)
            result[i] = this[places[i]];
        return result;
    }
}

/// <summary>A column of an index being built: one value for each event that has come.</summary>
internal abstract class EventBuffer
{
    /// <summary>Appends another index's column of the same kind.</summary>
    public abstract void AddRange(EventColumn column);

    /// <summary>The values at the given places, in their order.</summary>
    /// <param name="places">Those of the first id, then those of the next.</param>
    /// <param name="starts">Where in <paramref name="places"/> each id's begin, and their number.</param>
    public abstract EventColumn Gather(int[] places, int[] starts);
}

/// <summary>A finished column of an index. Immutable.</summary>
internal abstract class EventColumn
{
    public abstract void Write(ArrayWriter writer);
}

/// <summary>Numbers, keys, or what else is one value in memory.</summary>
internal sealed class EventColumn<T>(T[] values) : EventColumn where T : unmanaged
{
    public ReadOnlySpan<T> Values => values;

    public override void Write(ArrayWriter writer) => writer.Write<T>(values);

    public static EventColumn<T> Read(ArrayReader reader, int count) => new(reader.Read<T>(count));
}

internal sealed class EventBuffer<T> : EventBuffer where T : unmanaged
{
    private readonly Blocks<T> _values = new();

    public void Add(T value) => _values.Add(value);

    public override void AddRange(EventColumn column) => _values.AddRange(((EventColumn<T>)column).Values);

    public override EventColumn Gather(int[] places, int[] starts) => new EventColumn<T>(_values.Gather(places));
}

/// <summary>Text: each different value is held once.</summary>
internal sealed class TextColumn(int[] codes, ReadOnlyMemory<char>[] texts) : EventColumn
{
    /// <summary>For each event, the place of its value in <see cref="Texts"/>.</summary>
    public ReadOnlySpan<int> Codes => codes;

    public ReadOnlySpan<ReadOnlyMemory<char>> Texts => texts;

    public override void Write(ArrayWriter writer)
    {
        writer.WriteTexts(texts);
        writer.Write<int>(codes);
    }

    public static TextColumn Read(ArrayReader reader, int count)
    {
        ReadOnlyMemory<char>[] texts = reader.ReadTexts();
        int[] codes = reader.Read<int>(count);
        foreach (int code in codes)
            ArrayReader.Require((uint)code < (uint)texts.Length, $"there is no text {code} among {texts.Length}");
        return new TextColumn(codes, texts);
    }
}

internal sealed class TextBuffer : EventBuffer
{
    private readonly Blocks<int> _codes = new();
    private readonly Dictionary<string, int> _codeOf = [];
    private readonly List<ReadOnlyMemory<char>> _texts = [];

    public void Add(ReadOnlyMemory<char> text) => _codes.Add(CodeOf(text));

    public override void AddRange(EventColumn column)
    {
        var other = (TextColumn)column;
        var codes = new int[other.Texts.Length];
        for (int i = 0; i < codes.Length; i++)
            codes[i] = CodeOf(other.Texts[i]);
        foreach (int code in other.Codes)
            _codes.Add(codes[code]);
    }

    public override EventColumn Gather(int[] places, int[] starts) => new TextColumn(_codes.Gather(places), [.. _texts]);

    private int CodeOf(ReadOnlyMemory<char> text)
    {
        if (_codeOf.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(text.Span, out int known))
            return known;
        string kept = text.ToString();
        _codeOf.Add(kept, _texts.Count);
        _texts.Add(kept.AsMemory());
        return _texts.Count - 1;
    }
}
