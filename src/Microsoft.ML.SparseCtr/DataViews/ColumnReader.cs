using System.Numerics;
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
        return raw == typeof(uint) ? Keys<uint>(row, column, keyCount)
            : raw == typeof(ulong) ? Keys<ulong>(row, column, keyCount)
            : raw == typeof(ushort) ? Keys<ushort>(row, column, keyCount)
            : Keys<byte>(row, column, keyCount);
    }

    private static Func<int[]> Keys<T>(DataViewRow row, DataViewSchema.Column column, int keyCount) where T : unmanaged, IBinaryInteger<T>
        => Values<T, int>(row, column, (keys, result) =>
        {
            for (int i = 0; i < keys.Length; i++)
            {
                ulong key = ulong.CreateTruncating(keys[i]);
                result[i] = key <= (ulong)keyCount ? (int)key : 0;
            }
        });

    /// <summary>Unix seconds. A DateTime of unspecified kind is taken as UTC.</summary>
    public static Func<long[]> Timestamps(DataViewRow row, DataViewSchema.Column column)
        => column.Type.ItemType() == NumberDataViewType.Int64
            ? Values<long, long>(row, column, (seconds, result) => seconds.CopyTo(result))
            : Values<DateTime, long>(row, column, (times, result) =>
            {
                for (int i = 0; i < times.Length; i++)
                    result[i] = UnixSeconds(times[i]);
            });

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
        => Values<float, float>(row, column, (numbers, result) => numbers.CopyTo(result));

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

    /// <summary>Turns values into others, as many.</summary>
    private delegate void Conversion<TRaw, TResult>(ReadOnlySpan<TRaw> values, Span<TResult> result);

    /// <summary>Converts all values of a row in one call: of long histories, one for each would take longer than what it does.</summary>
    private static Func<TResult[]> Values<TRaw, TResult>(DataViewRow row, DataViewSchema.Column column, Conversion<TRaw, TResult> convert)
    {
        if (column.Type is not VectorDataViewType)
        {
            return Value<TRaw, TResult[]>(row, column, value =>
            {
                var result = new TResult[1];
                convert([value], result);
                return result;
            });
        }

        ValueGetter<VBuffer<TRaw>> getter = row.GetGetter<VBuffer<TRaw>>(column);
        VBuffer<TRaw> buffer = default;
        return () =>
        {
            getter(ref buffer);
            var result = new TResult[buffer.Length];
            convert(buffer.IsDense ? buffer.GetValues() : buffer.DenseValues().ToArray(), result);
            return result;
        };
    }
}
