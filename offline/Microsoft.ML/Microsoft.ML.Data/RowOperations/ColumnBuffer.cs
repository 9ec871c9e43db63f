namespace Microsoft.ML.Data;

/// <summary>Values of a column, kept by number.</summary>
internal abstract class ColumnBuffer
{
    /// <summary>Reads the values of <paramref name="column"/> from <paramref name="row"/> from now on.</summary>
    public abstract void ReadFrom(DataViewRow row, DataViewSchema.Column column);

    /// <summary>Puts the row's present value at a number: one that there is, or the next one.</summary>
    public abstract void Store(int index);

    /// <summary>A getter of the value whose number <paramref name="index"/> gives at the time.</summary>
    public abstract Delegate MakeGetter(Func<int> index);

    public static ColumnBuffer Create(DataViewType type) => type is VectorDataViewType vector
        ? GenericCall.Invoke<ColumnBuffer>(CreateVector<int>, vector.ItemType.RawType)
        : GenericCall.Invoke<ColumnBuffer>(CreateScalar<int>, type.RawType);

    private static ColumnBuffer CreateScalar<T>() => typeof(T) == typeof(ReadOnlyMemory<char>)
        ? new ColumnBuffer<ReadOnlyMemory<char>>((in ReadOnlyMemory<char> source, ref ReadOnlyMemory<char> target) =>
            target = source.ToString().AsMemory())
        : new ColumnBuffer<T>((in T source, ref T target) => target = source);

    private static ColumnBuffer CreateVector<T>() =>
        new ColumnBuffer<VBuffer<T>>((in VBuffer<T> source, ref VBuffer<T> target) => source.CopyTo(ref target));
}

/// <summary>Copies a value so that what becomes of the source does not show in the target.</summary>
internal delegate void Copier<T>(in T source, ref T target);

internal sealed class ColumnBuffer<T>(Copier<T> copy) : ColumnBuffer
{
    private T[] _values = [];
    private ValueGetter<T> _source;
    private T _current;

    public override void ReadFrom(DataViewRow row, DataViewSchema.Column column) => _source = row.GetGetter<T>(column);

    public override void Store(int index)
    {
        if (index == _values.Length)
            Array.Resize(ref _values, Math.Max(4, 2 * index));
        _source(ref _current);
        copy(_current, ref _values[index]);
    }

    public override ValueGetter<T> MakeGetter(Func<int> index) => (ref T value) => copy(_values[index()], ref value);
}
