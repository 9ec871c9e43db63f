using System.Globalization;

namespace Microsoft.ML.Data;

/// <summary>Values in an order: the first has the key 1, and a value that is not among them the key 0.</summary>
internal abstract class TermMap
{
    public abstract PrimitiveDataViewType ItemType { get; }

    public abstract int Count { get; }

    public KeyDataViewType KeyType => new(typeof(uint), Math.Max(1, Count));

    /// <summary>The function from values to keys.</summary>
    public abstract Delegate Map { get; }

    /// <summary>Annotates the keys with the values that they stand for.</summary>
    public abstract void AddKeyValues(DataViewSchema.Annotations.Builder annotations, bool asText);

    public abstract void Save(BinaryWriter writer);

    public static TermMap Load(BinaryReader reader)
    {
        var itemType = (PrimitiveDataViewType)reader.ReadType();
        return GenericCall.Invoke<TermMap>(LoadCore<int>, itemType.RawType, itemType, reader);
    }

    private static TermMap LoadCore<T>(PrimitiveDataViewType itemType, BinaryReader reader) =>
        new TermMap<T>(itemType, reader.ReadValues<T>());
}

internal sealed class TermMap<T> : TermMap
{
    private readonly T[] _values;
    private readonly Dictionary<T, uint> _keys;

    public TermMap(PrimitiveDataViewType itemType, T[] values)
    {
        ItemType = itemType;
        _values = values;
        _keys = new Dictionary<T, uint>(Terms.GetComparer<T>());
        for (int i = 0; i < values.Length; i++)
            _keys[values[i]] = (uint)i + 1;
    }

    public override PrimitiveDataViewType ItemType { get; }

    public override int Count => _values.Length;

    public override Delegate Map => (T value) => _keys.GetValueOrDefault(value);

    public override void AddKeyValues(DataViewSchema.Annotations.Builder annotations, bool asText)
    {
        if (Count == 0)
            return;
        if (!asText)
            annotations.Add(AnnotationUtils.Kinds.KeyValues, new VectorDataViewType(ItemType, Count), Getters.Constant(_values));
        else
        {
            var texts = Array.ConvertAll(_values, value => string.Format(CultureInfo.InvariantCulture, "{0}", value).AsMemory());
            annotations.Add(AnnotationUtils.Kinds.KeyValues, new VectorDataViewType(TextDataViewType.Instance, Count),
                Getters.Constant(texts));
        }
    }

    public override void Save(BinaryWriter writer)
    {
        writer.WriteType(ItemType);
        writer.WriteValues<T>(_values);
    }
}
