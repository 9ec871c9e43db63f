using Microsoft.ML.Data;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// Reads a column of the current row, whatever its exact type: any key type becomes Int32, a DateTime becomes Unix seconds. What can be
/// a vector is read as an array, of one where it is a scalar, that belongs to the caller; what is always a scalar allocates nothing.
/// </summary>
internal static class ColumnReader
{
    /// <summary>Stands for the value of a group column; only whether two are equal matters.</summary>
    public static Func<ulong> Group(DataViewRow row, DataViewSchema.Column column)
    {
        var numberOfText = new Dictionary<string, ulong>();
        Dictionary<string, ulong>.AlternateLookup<ReadOnlySpan<char>> lookup = numberOfText.GetAlternateLookup<ReadOnlySpan<char>>();
        return column.Type is TextDataViewType
            ? Value<ReadOnlyMemory<char>, ulong>(row, column, value => NumberOf(value.Span))
            : WholeNumber(NumberTypes.Reader(row, column));

        static Func<ulong> WholeNumber(Func<long> read) => () => (ulong)read();

        ulong NumberOf(ReadOnlySpan<char> text)
        {
            if (!lookup.TryGetValue(text, out ulong number))
                lookup[text] = number = (ulong)numberOfText.Count;
            return number;
        }
    }

    /// <summary>
    /// Whether a row begins a group: its value is another than that of the row before, or missing (key 0, empty text), as what is not known belongs to nothing.
    /// </summary>
    public static Func<bool> BeginsGroup(DataViewRow row, DataViewSchema.Column column)
    {
        if (column.Type is TextDataViewType)
        {
            string before = "";
            return Value<ReadOnlyMemory<char>, bool>(row, column, text =>
            {
                bool begins = text.IsEmpty || !text.Span.SequenceEqual(before);
                if (begins)
                    before = text.ToString();
                return begins;
            });
        }
        Func<long> read = NumberTypes.Reader(row, column);
        long? missing = column.Type is KeyDataViewType ? 0 : null, last = null;
        return () =>
        {
            long value = read();
            bool begins = value == missing || value != last;
            last = value;
            return begins;
        };
    }

    /// <summary>Keys as 0 (missing) to <paramref name="keyCount"/>; what lies beyond is missing too.</summary>
    public static Func<int[]> Keys(DataViewRow row, DataViewSchema.Column column, int keyCount)
    {
        Type raw = column.Type.ItemType().RawType;
        if (raw == typeof(uint))
            return Values<uint, int>(row, column, key => key <= keyCount ? (int)key : 0);
        if (raw == typeof(ulong))
            return Values<ulong, int>(row, column, key => key <= (ulong)keyCount ? (int)key : 0);
        if (raw == typeof(ushort))
            return Values<ushort, int>(row, column, key => key <= keyCount ? key : 0);
        return Values<byte, int>(row, column, key => key <= keyCount ? key : 0);
    }

    /// <summary>Unix seconds. A DateTime of unspecified kind is taken as UTC.</summary>
    public static Func<long[]> Timestamps(DataViewRow row, DataViewSchema.Column column)
        => column.Type.ItemType() == NumberDataViewType.Int64
            ? Values<long, long>(row, column, seconds => seconds)
            : Values<DateTime, long>(row, column, UnixSeconds);

    /// <inheritdoc cref="Timestamps"/>
    public static Func<long> Timestamp(DataViewRow row, DataViewSchema.Column column)
        => column.Type == NumberDataViewType.Int64 ? NumberTypes.Reader(row, column) : Value<DateTime, long>(row, column, UnixSeconds);

    /// <summary>Unix seconds, rounded down. A DateTime of unspecified kind is taken as UTC.</summary>
    public static long UnixSeconds(DateTime time)
    {
        long ticks = (InUtc(time) - DateTime.UnixEpoch).Ticks, seconds = ticks / TimeSpan.TicksPerSecond;
        return ticks % TimeSpan.TicksPerSecond < 0 ? seconds - 1 : seconds;
    }

    /// <summary>The same instant in UTC, of unspecified kind. A DateTime of unspecified kind is taken as UTC.</summary>
    public static DateTime InUtc(DateTime time)
        => DateTime.SpecifyKind(time.Kind == DateTimeKind.Local ? time.ToUniversalTime() : time, DateTimeKind.Unspecified);

    public static Func<float[]> Numbers(DataViewRow row, DataViewSchema.Column column)
        => Values<float, float>(row, column, value => value);

    public static Func<float> Number(DataViewRow row, DataViewSchema.Column column)
        => Value<float, float>(row, column, value => value);

    /// <summary>A Single as it is; of a Boolean, 1 for true.</summary>
    public static Func<float> NumberOrBoolean(DataViewRow row, DataViewSchema.Column column)
        => column.Type == BooleanDataViewType.Instance ? Value<bool, float>(row, column, value => value ? 1 : 0) : Number(row, column);

    /// <summary>0, 1 or, where it is missing, NaN.</summary>
    public static Func<float> Label(DataViewRow row, DataViewSchema.Column column)
    {
        Func<float> read = NumberOrBoolean(row, column);
        return () => read() is var label && (label is 0 or 1 || float.IsNaN(label))
            ? label
            : throw new InvalidOperationException($"Label column '{column.Name}' must be 0 or 1; row {row.Position} has {label}.");
    }

    /// <summary>The item type of a vector, or the type itself.</summary>
    public static PrimitiveDataViewType ItemType(this DataViewType type)
        => type is VectorDataViewType vector ? vector.ItemType : (PrimitiveDataViewType)type;

    private static Func<TResult> Value<TRaw, TResult>(DataViewRow row, DataViewSchema.Column column, Func<TRaw, TResult> convert)
    {
        ValueGetter<TRaw> getter = row.GetGetter<TRaw>(column);
        TRaw value = default!;
        return () =>
        {
            getter(ref value);
            return convert(value);
        };
    }

    private static Func<TResult[]> Values<TRaw, TResult>(DataViewRow row, DataViewSchema.Column column, Func<TRaw, TResult> convert)
    {
        if (column.Type is not VectorDataViewType)
        {
            Func<TResult> read = Value(row, column, convert);
            return () => [read()];
        }

        ValueGetter<VBuffer<TRaw>> vectorGetter = row.GetGetter<VBuffer<TRaw>>(column);
        VBuffer<TRaw> buffer = default;
        return () =>
        {
            vectorGetter(ref buffer);
            var result = new TResult[buffer.Length];
            if (!buffer.IsDense)
                Array.Fill(result, convert(default!));
            ReadOnlySpan<TRaw> values = buffer.GetValues();
            ReadOnlySpan<int> indices = buffer.GetIndices();
            for (int i = 0; i < values.Length; i++)
                result[buffer.IsDense ? i : indices[i]] = convert(values[i]);
            return result;
        };
    }
}
