using System.Numerics;
using System.Runtime.InteropServices;
using Microsoft.ML.Data;

namespace Microsoft.ML.SparseCtr;

/// <summary>A column of an event log as histories carry it: how it is read from the log, kept, and given to a row.</summary>
internal abstract class EventField(string columnName, PrimitiveDataViewType itemType)
{
    public const string Prefix = "History";

    public string ColumnName => columnName;

    /// <summary>The column that a row gets: a vector, one value per event, oldest first.</summary>
    public DataViewSchema.DetachedColumn HistoryColumn => new(Prefix + columnName, new VectorDataViewType(itemType), Annotations);

    protected virtual DataViewSchema.Annotations? Annotations => null;

    public abstract EventBuffer NewBuffer();

    /// <summary>Appends the log's current value to a buffer.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The log's column is of another type.</exception>
    public abstract Action Appender(DataViewRow log, EventBuffer buffer);

    /// <summary>The getter of <see cref="HistoryColumn"/>.</summary>
    /// <param name="history">The history of the current row.</param>
    /// <param name="column">The field's place among the columns of the indexes.</param>
    public abstract Delegate HistoryGetter(Func<History> history, int column);

    public abstract EventColumn Read(ArrayReader reader, int count);

    /// <summary>The log's column, which must hold values as they are carried.</summary>
    protected DataViewSchema.Column ColumnOf(DataViewRow log)
    {
        DataViewSchema.Column column = log.Schema[columnName];
        return column.Type.Equals(itemType) ? column : throw new ArgumentOutOfRangeException(
            nameof(log), $"Schema mismatch for history column '{columnName}': expected {itemType}, got {column.Type}");
    }

    /// <summary>The getter of a column that is kept as values of one type.</summary>
    protected static Delegate HistoryGetter<T>(Func<History> history, int column) where T : unmanaged
        => History.Getter<T>(history, (index, places, destination) => ((EventColumn<T>)index.Columns[column]).Values[places].CopyTo(destination));

    /// <summary>What has to be saved of the field, beside the values of its keys.</summary>
    public abstract EventFieldConfig Config { get; }

    /// <summary>How the field of a log will be carried to rows.</summary>
    /// <param name="log">The column of the log.</param>
    /// <param name="row">The column of that name among the rows; where it holds keys, the history gets the same keys.</param>
    /// <exception cref="ArgumentOutOfRangeException">The log's column cannot be carried.</exception>
    public static EventField Create(DataViewSchema.Column log, DataViewSchema.Column? row)
    {
        if (row is { Type: var rowType } && rowType.ItemType() is KeyDataViewType)
        {
            IdType ofLog = IdType.Of(log), ofRow = IdType.Of(row.Value);
            if (ofLog != ofRow)
            {
                throw new ArgumentOutOfRangeException(nameof(log), $"Schema mismatch for history column '{log.Name}': the rows have {(ofRow.Kind == IdKind.Key ? $"{ofRow} (Hash, or MapValueToKey of a column without a value)" : $"keys for {ofRow}")}, the event log has {ofLog}");
            }
            return new KeyedField(log.Name, KeyCountOf(row.Value), KeyValues.Of(row.Value), isOfRows: true);
        }
        if (log.Type is KeyDataViewType)
            return new KeyedField(log.Name, KeyCountOf(log), KeyValues.Of(log), isOfRows: false);
        if (log.Type is TextDataViewType)
            return new TextField(log.Name);
        return OfValues(log.Name, log.Type.RawType.Name)
            ?? throw new ArgumentOutOfRangeException(nameof(log), $"Schema mismatch for history column '{log.Name}': expected a key, text, a number, Boolean or DateTime, got {log.Type}");
    }

    /// <summary>What <see cref="Create"/> made, from what was saved of it.</summary>
    /// <exception cref="FormatException">Nothing makes such a field.</exception>
    public static EventField Restore(EventFieldConfig config, ArrayReader reader)
    {
        switch (config.Type)
        {
            case EventFieldConfig.Text:
                return new TextField(config.ColumnName);
            case EventFieldConfig.Key:
                ArrayReader.Require(config.KeyCount is > 0 and <= uint.MaxValue, $"column '{config.ColumnName}' cannot have {config.KeyCount:N0} keys");
                KeyValues? values = config.KeyValueType is null ? null : KeyValues.Read(reader, config.KeyValueType);
                ArrayReader.Require(values is null || (ulong)values.Count == config.KeyCount, $"column '{config.ColumnName}' has {config.KeyCount:N0} keys, but values for {values?.Count:N0}");
                return new KeyedField(config.ColumnName, config.KeyCount, values, config.KeysAreOfRows);
            default:
                return OfValues(config.ColumnName, config.Type) ?? throw new FormatException($"column '{config.ColumnName}' cannot be of type {config.Type}");
        }
    }

    /// <summary>The field of a column of values, by the name of their .NET type; null where such values are not carried.</summary>
    private static EventField? OfValues(string name, string type)
        => type == nameof(Boolean) ? new ValueField<bool>(name, BooleanDataViewType.Instance)
            : type == nameof(DateTime) ? new ValueField<DateTime>(name, DateTimeDataViewType.Instance, ColumnReader.InUtc)
            : NumberTypes.ByName(type) is { } number ? NumberTypes.Dispatch(number.RawType, new MakeValueField(name))
            : null;

    private sealed record MakeValueField(string Name) : INumberFunction<EventField>
    {
        public EventField Of<T>() where T : unmanaged, INumber<T> => new ValueField<T>(Name, NumberTypes.Of<T>());
    }

    private static ulong KeyCountOf(DataViewSchema.Column column)
    {
        ulong count = ((KeyDataViewType)column.Type.ItemType()).Count;
        return count <= uint.MaxValue ? count : throw new ArgumentOutOfRangeException(
            nameof(column), $"Schema mismatch for column '{column.Name}': expected at most {uint.MaxValue:N0} keys, got {count:N0}");
    }
}

/// <summary>What is saved of an <see cref="EventField"/>, beside the values of its keys.</summary>
/// <param name="ColumnName">The log's column.</param>
/// <param name="Type">"Key", "Text", or the name of the values' .NET type.</param>
/// <param name="KeyCount">How many keys there are.</param>
/// <param name="KeyValueType">The <see cref="KeyValues.TypeName"/> of what the keys stand for; null where nothing is known.</param>
/// <param name="KeysAreOfRows">Whether the keys are those of the rows' column of that name.</param>
internal sealed record EventFieldConfig(string ColumnName, string Type, ulong KeyCount = 0, string? KeyValueType = null, bool KeysAreOfRows = false)
{
    public const string Key = nameof(Key);
    public const string Text = nameof(Text);
}

/// <summary>Values of one type.</summary>
/// <param name="columnName">The log's column.</param>
/// <param name="type">The type.</param>
/// <param name="convert">What becomes of a value of the log; null takes it as it is.</param>
internal sealed class ValueField<T>(string columnName, PrimitiveDataViewType type, Func<T, T>? convert = null) : EventField(columnName, type) where T : unmanaged
{
    public override EventFieldConfig Config => new(ColumnName, typeof(T).Name);

    public override EventBuffer NewBuffer() => new EventBuffer<T>();

    public override Action Appender(DataViewRow log, EventBuffer buffer)
    {
        ValueGetter<T> getter = log.GetGetter<T>(ColumnOf(log));
        T value = default;
        return () =>
        {
            getter(ref value);
            ((EventBuffer<T>)buffer).Add(convert is null ? value : convert(value));
        };
    }

    public override Delegate HistoryGetter(Func<History> history, int column) => HistoryGetter<T>(history, column);

    public override EventColumn Read(ArrayReader reader, int count)
    {
        EventColumn<T> column = EventColumn<T>.Read(reader, count);
        // Of these two types not all bits are values.
        bool areValues = typeof(T) == typeof(bool) ? MemoryMarshal.AsBytes(column.Values).IndexOfAnyExceptInRange((byte)0, (byte)1) < 0
            : typeof(T) != typeof(DateTime) || MemoryMarshal.Cast<T, long>(column.Values).IndexOfAnyExceptInRange(0, DateTime.MaxValue.Ticks) < 0;
        ArrayReader.Require(areValues, $"column '{ColumnName}' has a value that is no {typeof(T).Name}");
        return column;
    }
}

/// <summary>Text.</summary>
internal sealed class TextField(string columnName) : EventField(columnName, TextDataViewType.Instance)
{
    public override EventFieldConfig Config => new(ColumnName, EventFieldConfig.Text);

    public override EventBuffer NewBuffer() => new TextBuffer();

    public override Action Appender(DataViewRow log, EventBuffer buffer)
    {
        ValueGetter<ReadOnlyMemory<char>> getter = log.GetGetter<ReadOnlyMemory<char>>(ColumnOf(log));
        ReadOnlyMemory<char> value = default;
        return () =>
        {
            getter(ref value);
            ((TextBuffer)buffer).Add(value);
        };
    }

    public override Delegate HistoryGetter(Func<History> history, int column)
        => History.Getter<ReadOnlyMemory<char>>(history, (index, places, destination) =>
        {
            var texts = (TextColumn)index.Columns[column];
            ReadOnlySpan<int> codes = texts.Codes[places];
            for (int i = 0; i < codes.Length; i++)
                destination[i] = texts.Texts[codes[i]];
        });

    public override EventColumn Read(ArrayReader reader, int count) => TextColumn.Read(reader, count);
}

/// <summary>
/// Keys, which a log's values are turned into by what they stand for; what no key stands for is the missing key, 0.
/// </summary>
/// <param name="columnName">The log's column.</param>
/// <param name="keyCount">How many keys there are.</param>
/// <param name="values">What they stand for; null where that is not known: then the log must have the same number of such keys.</param>
/// <param name="isOfRows">Whether they are the keys of the rows' column of that name.</param>
internal sealed class KeyedField(string columnName, ulong keyCount, KeyValues? values, bool isOfRows)
    : EventField(columnName, new KeyDataViewType(typeof(uint), keyCount))
{
    private readonly Lazy<(IdMap Ids, uint[] Keys)> _keyOf = new(() => values!.ToMap());

    public override EventFieldConfig Config
        => new(ColumnName, EventFieldConfig.Key, keyCount, values?.TypeName, isOfRows);

    public KeyValues? Values => values;

    protected override DataViewSchema.Annotations? Annotations => values?.ToAnnotations();

    public override EventBuffer NewBuffer() => new EventBuffer<uint>();

    public override Action Appender(DataViewRow log, EventBuffer buffer)
    {
        DataViewSchema.Column column = log.Schema[ColumnName];
        var id = new IdReader(log, column);
        IdType expected = values?.IdType ?? new IdType(IdKind.Key, keyCount);
        if (id.Type != expected)
            throw new ArgumentOutOfRangeException(nameof(log), $"Schema mismatch for history column '{ColumnName}': expected {expected}, or keys for them, got {id.Type}");
        var keys = (EventBuffer<uint>)buffer;
        if (values is null)
            return () => keys.Add(id.Read() ? (uint)id.Number : 0);
        (IdMap ids, uint[] keyOf) = _keyOf.Value;
        return () => keys.Add(id.Read() && ids.Find(id) is int number and >= 0 ? keyOf[number] : 0);
    }

    /// <summary>Throws unless the rows' keys are those of the histories.</summary>
    public void CheckRows(DataViewSchema schema)
    {
        if (!isOfRows)
            return;
        DataViewSchema.Column? column = schema.GetColumnOrNull(ColumnName);
        bool same = column?.Type.ItemType() is KeyDataViewType { Count: var count } && count == keyCount
            && (KeyValues.Of(column.Value) is { } ofRows ? values?.Equals(ofRows) ?? false : values is null);
        if (!same)
        {
            throw new ArgumentOutOfRangeException(nameof(schema),
                $"Schema mismatch for column '{ColumnName}': expected the {keyCount:N0} keys that it had when BehaviorSequence was fitted, got {column?.Type.ToString() ?? "no such column"}"
                + (column?.Type.ItemType() is KeyDataViewType { Count: var got } && got == keyCount ? ", whose keys stand for other values" : ""));
        }
    }

    public override Delegate HistoryGetter(Func<History> history, int column) => HistoryGetter<uint>(history, column);

    public override EventColumn Read(ArrayReader reader, int count)
    {
        EventColumn<uint> column = EventColumn<uint>.Read(reader, count);
        foreach (uint key in column.Values)
            ArrayReader.Require(key <= keyCount, $"column '{ColumnName}' has key {key:N0} of {keyCount:N0}");
        return column;
    }
}
