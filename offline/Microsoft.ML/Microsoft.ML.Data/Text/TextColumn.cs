using Microsoft.ML.Runtime;

namespace Microsoft.ML.Data;

/// <summary>A column of text files.</summary>
internal sealed class TextColumn
{
    private readonly TextLoader.Range[] _sources;
    private readonly int[] _fields;
    private readonly bool _emptyIsNaN;

    public TextColumn(IHost host, TextLoader.Column column, string[] sample, TextLoader.Options options)
    {
        host.CheckUserArg(column.Source is { Length: > 0 }, nameof(column.Source), $"Column '{column.Name}' has no source.");
        host.CheckNonEmpty(column.Name, nameof(column.Name));
        _emptyIsNaN = options.MissingRealsAsNaNs;
        _sources = Array.ConvertAll(column.Source, source => !source.AutoEnd ? source : sample is null
            ? throw host.ExceptUserArg(nameof(source.AutoEnd),
                $"Column '{column.Name}' ends where the data does: that takes a sample of the data.")
            : new TextLoader.Range(source.Min, sample.Length - 1) { ForceVector = true });
        var itemType = PrimitiveTypes.FromKind(column.DataKind);
        if (column.KeyCount is { } keyCount)
            itemType = (keyCount.Count is { } count ? new KeyTypeAttribute(count) : new KeyTypeAttribute()).GetKeyType(itemType.RawType);

        bool isVariable = Array.Exists(_sources, source => source.VariableEnd);
        bool isVector = isVariable || _sources is not [{ ForceVector: false } only] || GetMax(only, 0) != only.Min;
        _fields = isVariable ? null : GetFields(0);
        var annotations = new DataViewSchema.Annotations.Builder();
        if (isVector && !isVariable && options.HasHeader && sample is not null)
        {
            var names = Array.ConvertAll(_fields, field => field < sample.Length ? sample[field].AsMemory() : default);
            annotations.Add(AnnotationUtils.Kinds.SlotNames, new VectorDataViewType(TextDataViewType.Instance, names.Length),
                Getters.Constant(names));
        }
        var type = isVector ? new VectorDataViewType(itemType, _fields?.Length ?? 0) : (DataViewType)itemType;
        Column = new DataViewSchema.DetachedColumn(column.Name, type, annotations.ToAnnotations());
    }

    public DataViewSchema.DetachedColumn Column { get; }

    /// <summary>A getter of the value in the present line.</summary>
    public Delegate MakeGetter(TextLines lines) => Column.Type is VectorDataViewType vector
        ? GenericCall.Invoke<Delegate>(MakeVectorGetter<int>, vector.ItemType.RawType, lines)
        : GenericCall.Invoke<Delegate>(MakeScalarGetter<int>, Column.Type.RawType, lines);

    private ValueGetter<T> MakeScalarGetter<T>(TextLines lines)
    {
        var parse = MakeParser<T>(lines);
        int field = _fields[0];
        return (ref T value) => value = parse(field);
    }

    private ValueGetter<VBuffer<T>> MakeVectorGetter<T>(TextLines lines)
    {
        var parse = MakeParser<T>(lines);
        return (ref VBuffer<T> value) =>
        {
            int[] fields = _fields ?? GetFields(lines.Fields.Count);
            var editor = VBufferEditor.Create(ref value, fields.Length);
            for (int i = 0; i < fields.Length; i++)
                editor.Values[i] = parse(fields[i]);
            value = editor.Commit();
        };
    }

    /// <summary>The function from the number of a field to its value. A field that the line does not have is empty.</summary>
    private Func<int, T> MakeParser<T>(TextLines lines)
    {
        if (typeof(T) == typeof(ReadOnlyMemory<char>))
            return (Func<int, T>)(Delegate)(Func<int, ReadOnlyMemory<char>>)GetText;
        var tryParse = Column.Type.GetItemType() is KeyDataViewType key ? MakeKeyParser<T>(key) : TextParsers.Get<T>();
        T ofEmpty = default;
        if (_emptyIsNaN && ofEmpty is float or double)
            tryParse("?", out ofEmpty);
        return field =>
        {
            var text = GetText(field);
            if (text.IsEmpty)
                return ofEmpty;
            return tryParse(text.Span, out var value) ? value : throw Contracts.ExceptDecode(null,
                "Parsing failed with an exception: Could not parse value {0} in {1}, column {2}", text, lines.Location, Column.Name);
        };

        ReadOnlyMemory<char> GetText(int field) => field < lines.Fields.Count ? lines.Fields[field] : default;
    }

    /// <summary>Keys are numbers from 0 on; a number that is no key is the missing key.</summary>
    private static TextParser<T> MakeKeyParser<T>(KeyDataViewType type)
    {
        var tryParse = TextParsers.Get<ulong>();
        var toRaw = Conversions.GetOrNull<ulong, T>();
        return (ReadOnlySpan<char> text, out T value) =>
        {
            bool isNumber = tryParse(text, out ulong number);
            value = isNumber && number < type.Count ? toRaw(number + 1) : default;
            return isNumber;
        };
    }

    /// <summary>The numbers of the fields that the value is made of, in a line of <paramref name="fieldCount"/> fields.</summary>
    private int[] GetFields(int fieldCount) => [.. _sources.SelectMany(source =>
        Enumerable.Range(source.Min, Math.Max(0, GetMax(source, fieldCount) - source.Min + 1)))];

    private static int GetMax(TextLoader.Range source, int fieldCount) => source.VariableEnd ? fieldCount - 1 : source.Max ?? source.Min;
}
