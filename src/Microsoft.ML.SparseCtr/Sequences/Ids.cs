using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.SparseCtr;

/// <summary>What the ids of a column are, whatever holds them: only ids of one kind can be the same.</summary>
internal enum IdKind
{
    /// <summary>Text, or keys that stand for text.</summary>
    Text,

    /// <summary>Whole numbers, or keys that stand for whole numbers.</summary>
    Number,

    /// <summary>Real numbers, or keys that stand for real numbers: Single and Double.</summary>
    Real,

    /// <summary>Keys that stand for nothing known, as those of Hash.</summary>
    Key,
}

/// <summary>The type of an id column.</summary>
/// <param name="Kind">What its ids are.</param>
/// <param name="KeyCount">For keys that stand for nothing known, how many there are; otherwise 0.</param>
internal readonly record struct IdType(IdKind Kind, ulong KeyCount = 0)
{
    /// <exception cref="ArgumentOutOfRangeException">The column's keys stand for something that is neither text nor a number.</exception>
    public static IdType Of(DataViewSchema.Column column)
    {
        DataViewType type = column.Type.ItemType();
        if (type is KeyDataViewType { Count: var count })
        {
            if (KeyValues.TypeOf(column) is not { } valueType)
                return new IdType(IdKind.Key, count);
            type = valueType;
        }
        return Of(type) ?? throw new ArgumentOutOfRangeException(
            nameof(column), $"Schema mismatch for column '{column.Name}': expected text, a number, or a key for one of them, got {column.Type}");
    }

    /// <summary>The type of ids that are values of a type; null where these cannot be ids.</summary>
    public static IdType? Of(DataViewType values)
        => values is TextDataViewType ? new IdType(IdKind.Text)
            : NumberTypes.IsWhole(values) ? new IdType(IdKind.Number)
            : NumberTypes.IsReal(values) ? new IdType(IdKind.Real)
            : null;

    /// <summary>Throws unless a column holds ids of this type.</summary>
    public void Check(DataViewSchema.Column column, IExceptionContext context)
    {
        IdType found = Of(column);
        if (found != this)
        {
            throw context.Process(new ArgumentOutOfRangeException(
                nameof(column), $"Schema mismatch for column '{column.Name}': expected {this}, or keys for them, as in the event log, got {found}"));
        }
    }

    public override string ToString() => Kind switch
    {
        IdKind.Text => "text",
        IdKind.Number => "whole numbers",
        IdKind.Real => "real numbers",
        _ => $"{KeyCount:N0} keys without values",
    };
}

/// <summary>Reads the id of the current row by value: two columns that hold the same ids may hold them as different types or keys.</summary>
internal sealed class IdReader
{
    private readonly Func<bool> _read;

    public IdReader(DataViewRow row, DataViewSchema.Column column)
    {
        Type = IdType.Of(column);
        _read = column.Type is KeyDataViewType key ? Key(row, column, key)
            : Type.Kind == IdKind.Text ? TextOf(row, column)
            : NumberOf(row, column);
    }

    public IdType Type { get; }

    /// <summary>The id, where it is text; valid until the next row is read.</summary>
    public ReadOnlyMemory<char> Text { get; private set; }

    /// <summary>The id, where it is no text.</summary>
    public long Number { get; private set; }

    /// <summary>Reads the current row; false where it has no id (missing key, empty text, NaN).</summary>
    public bool Read() => _read();

    private Func<bool> TextOf(DataViewRow row, DataViewSchema.Column column)
    {
        ValueGetter<ReadOnlyMemory<char>> getter = row.GetGetter<ReadOnlyMemory<char>>(column);
        ReadOnlyMemory<char> value = default;
        return () =>
        {
            getter(ref value);
            Text = value;
            return !value.IsEmpty;
        };
    }

    private Func<bool> NumberOf(DataViewRow row, DataViewSchema.Column column)
    {
        Func<long> read = NumberTypes.Reader(row, column);
        bool isReal = Type.Kind == IdKind.Real;
        return () =>
        {
            Number = read();
            return !isReal || !double.IsNaN(BitConverter.Int64BitsToDouble(Number));
        };
    }

    private Func<bool> Key(DataViewRow row, DataViewSchema.Column column, KeyDataViewType type)
    {
        Func<long> read = NumberTypes.Reader(row, column);
        var count = (long)Math.Min(type.Count, long.MaxValue);
        KeyValues? values = KeyValues.Of(column);
        return () =>
        {
            long key = read();
            if (key <= 0 || key > count)
                return false;
            if (values?.Texts is null)
            {
                Number = values is null ? key : values.Numbers![key - 1];
                return true;
            }
            Text = values.Texts[key - 1];
            return !Text.IsEmpty;
        };
    }
}

/// <summary>Numbers ids, in order of their arrival: 0, 1, 2…</summary>
internal sealed class IdMap(IdType type)
{
    private readonly Dictionary<string, int> _texts = [];
    private readonly Dictionary<long, int> _numbers = [];
    private readonly List<string> _textsInOrder = [];
    private readonly List<long> _numbersInOrder = [];

    public int Count => type.Kind == IdKind.Text ? _textsInOrder.Count : _numbersInOrder.Count;

    public IReadOnlyList<string> Texts => _textsInOrder;

    /// <summary>The number of the id that was read; −1 where it is not known.</summary>
    public int Find(IdReader id)
        => type.Kind == IdKind.Text
            ? _texts.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(id.Text.Span, out int number) ? number : -1
            : _numbers.GetValueOrDefault(id.Number, -1);

    /// <summary>The number here of an id of another map; −1 where it is not known.</summary>
    public int Find(IdMap other, int number)
        => type.Kind == IdKind.Text
            ? _texts.GetValueOrDefault(other._textsInOrder[number], -1)
            : _numbers.GetValueOrDefault(other._numbersInOrder[number], -1);

    /// <summary>The number of the id that was read, a new one where it is not known.</summary>
    public int FindOrAdd(IdReader id)
    {
        int known = Find(id);
        return known >= 0 ? known : type.Kind == IdKind.Text ? FindOrAdd(id.Text.ToString()) : FindOrAdd(id.Number);
    }

    public int FindOrAdd(string id)
    {
        if (_texts.TryAdd(id, _textsInOrder.Count))
            _textsInOrder.Add(id);
        return _texts[id];
    }

    public int FindOrAdd(long id)
    {
        if (_numbers.TryAdd(id, _numbersInOrder.Count))
            _numbersInOrder.Add(id);
        return _numbers[id];
    }

    /// <summary>The number, here, of each id of another map, in its order.</summary>
    public int[] FindOrAddAll(IdMap other)
        => type.Kind == IdKind.Text ? other._textsInOrder.Select(FindOrAdd).ToArray() : other._numbersInOrder.Select(FindOrAdd).ToArray();

    public void Write(ArrayWriter writer)
    {
        if (type.Kind == IdKind.Text)
            writer.WriteTexts(_textsInOrder.Select(text => text.AsMemory()));
        else
            writer.Write<long>(CollectionsMarshal.AsSpan(_numbersInOrder));
    }

    /// <exception cref="FormatException">An id is there twice.</exception>
    public static IdMap Read(ArrayReader reader, IdType type)
    {
        var map = new IdMap(type);
        if (type.Kind == IdKind.Text)
            AddAll(reader.ReadTexts(), text => map.FindOrAdd(text.ToString()));
        else
            AddAll(reader.Read<long>(), map.FindOrAdd);
        return map;

        static void AddAll<T>(T[] values, Func<T, int> add)
        {
            for (int i = 0; i < values.Length; i++)
                ArrayReader.Require(add(values[i]) == i, $"the id {values[i]} is there twice");
        }
    }

    /// <summary>The id of a number, for messages.</summary>
    public string Name(int number) => type.Kind == IdKind.Text ? $"'{_textsInOrder[number]}'" : $"{_numbersInOrder[number]}";
}

/// <summary>What the keys 1, 2, … of a column stand for: text, or numbers of a type.</summary>
internal sealed class KeyValues
{
    private const string Annotation = nameof(KeyValues);

    // The values may be millions, and the annotation copies them out at each call.
    private static readonly ConditionalWeakTable<DataViewSchema.Annotations, KeyValues> s_read = [];

    public KeyValues(ReadOnlyMemory<char>[] texts) => (Type, Texts) = (TextDataViewType.Instance, texts);

    public KeyValues(NumberDataViewType type, long[] numbers) => (Type, Numbers) = (type, numbers);

    public PrimitiveDataViewType Type { get; }

    /// <summary>The values, where they are text.</summary>
    public ReadOnlyMemory<char>[]? Texts { get; }

    /// <summary>The values, where they are numbers, as <see cref="NumberTypes.ToInt64"/> has them.</summary>
    public long[]? Numbers { get; }

    public int Count => Texts?.Length ?? Numbers!.Length;

    /// <summary>The type of the values; null where they are not known, as after Hash.</summary>
    public static PrimitiveDataViewType? TypeOf(DataViewSchema.Column column)
        => (column.Annotations.Schema.GetColumnOrNull(Annotation)?.Type as VectorDataViewType)?.ItemType;

    /// <summary>The values of a column's keys; null where they are not known, or are neither text nor numbers.</summary>
    public static KeyValues? Of(DataViewSchema.Column column)
    {
        PrimitiveDataViewType? type = TypeOf(column);
        if (type is not (TextDataViewType or NumberDataViewType))
            return null;
        if (!s_read.TryGetValue(column.Annotations, out KeyValues? values))
        {
            values = type is NumberDataViewType number
                ? new KeyValues(number, NumberTypes.Dispatch(number.RawType, new ReadValues(column)))
                : new KeyValues(Dense<ReadOnlyMemory<char>>(column));
            s_read.AddOrUpdate(column.Annotations, values);
        }
        return values;
    }

    public bool Equals(KeyValues other) => ReferenceEquals(this, other) || Type.Equals(other.Type) && (Texts is not null
        ? Texts.Length == other.Texts!.Length && Texts.Zip(other.Texts).All(pair => pair.First.Span.SequenceEqual(pair.Second.Span))
        : Numbers.AsSpan().SequenceEqual(other.Numbers));

    public IdType IdType => IdType.Of(Type)!.Value;

    /// <summary>The values by number, and for each number the first key that stands for the value: values need not all be different.</summary>
    public (IdMap Ids, uint[] Keys) ToMap()
    {
        var map = new IdMap(IdType);
        var keys = new List<uint>(Count);
        for (int i = 0; i < Count; i++)
        {
            int number = Texts is not null ? map.FindOrAdd(Texts[i].ToString()) : map.FindOrAdd(Numbers![i]);
            if (number == keys.Count)
                keys.Add((uint)i + 1);
        }
        return (map, [.. keys]);
    }

    public void Write(ArrayWriter writer)
    {
        if (Texts is not null)
            writer.WriteTexts(Texts);
        else
            writer.Write<long>(Numbers!);
    }

    /// <summary>What a model file calls the type of the values: "Text", or the name of the numbers' .NET type.</summary>
    public string TypeName => Texts is not null ? EventFieldConfig.Text : Type.RawType.Name;

    /// <param name="reader">Where the values stand.</param>
    /// <param name="type">Their <see cref="TypeName"/>.</param>
    /// <exception cref="FormatException">There is no such type.</exception>
    public static KeyValues Read(ArrayReader reader, string type)
        => type == EventFieldConfig.Text ? new KeyValues(reader.ReadTexts())
            : NumberTypes.ByName(type) is { } number ? new KeyValues(number, reader.Read<long>())
            : throw new FormatException($"keys cannot stand for values of type {type}");

    /// <summary>The values as the annotation of a key column.</summary>
    public DataViewSchema.Annotations ToAnnotations()
    {
        var builder = new DataViewSchema.Annotations.Builder();
        builder.Add(Annotation, new VectorDataViewType(Type, Count),
            Texts is not null ? Getter(Texts) : NumberTypes.Dispatch(Type.RawType, new MakeGetter(Numbers!)));
        return builder.ToAnnotations();
    }

    private static Delegate Getter<T>(T[] values)
        => (ValueGetter<VBuffer<T>>)((ref VBuffer<T> destination) => new VBuffer<T>(values.Length, values).CopyTo(ref destination));

    private static T[] Dense<T>(DataViewSchema.Column column)
    {
        VBuffer<T> values = default;
        column.GetKeyValues(ref values);
        return values.DenseValues().ToArray();
    }

    private sealed record ReadValues(DataViewSchema.Column Column) : INumberFunction<long[]>
    {
        public long[] Of<T>() where T : unmanaged, INumber<T> => Array.ConvertAll(Dense<T>(Column), NumberTypes.ToInt64);
    }

    private sealed record MakeGetter(long[] Values) : INumberFunction<Delegate>
    {
        public Delegate Of<T>() where T : unmanaged, INumber<T> => Getter(Array.ConvertAll(Values, NumberTypes.FromInt64<T>));
    }
}
