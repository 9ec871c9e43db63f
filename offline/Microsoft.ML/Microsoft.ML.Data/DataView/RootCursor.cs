namespace Microsoft.ML.Data;

/// <summary>A cursor that has no other cursor below it: over rows that it makes itself.</summary>
internal abstract class RootCursor : DataViewRowCursor
{
    private readonly ColumnGetters _getters;
    private long _position = -1;
    private bool _isDone;

    protected RootCursor(DataViewSchema schema, IEnumerable<DataViewSchema.Column> activeColumns)
    {
        Schema = schema;
        _getters = new ColumnGetters(schema, activeColumns, MakeGetter);
    }

    public sealed override DataViewSchema Schema { get; }

    public sealed override long Position => _position;

    public override long Batch => 0;

    public sealed override bool IsColumnActive(DataViewSchema.Column column) => _getters.IsActive(column);

    public sealed override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column) => _getters.Get<TValue>(column);

    public sealed override bool MoveNext()
    {
        if (!_isDone && MoveNextCore())
        {
            _position++;
            return true;
        }
        _isDone = true;
        _position = -1;
        return false;
    }

    /// <summary>The <see cref="ValueGetter{TValue}"/> of a column.</summary>
    protected abstract Delegate MakeGetter(int column);

    protected abstract bool MoveNextCore();

    /// <summary>Throws unless the cursor stands on a row: before the first and after the last there are no values.</summary>
    protected void CheckOnRow()
    {
        if (_position < 0)
            throw new InvalidOperationException("There is no row to get a value of: the cursor is before the first or after the last row.");
    }
}
