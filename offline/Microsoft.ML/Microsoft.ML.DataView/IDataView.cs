using Microsoft.ML.Data;

namespace Microsoft.ML;

/// <summary>A lazily computed, immutable table: a schema, and cursors over its rows.</summary>
public interface IDataView
{
    /// <summary>Whether a random generator given to the cursor methods has an effect.</summary>
    bool CanShuffle { get; }

    DataViewSchema Schema { get; }

    /// <summary>The number of rows where it is known without reading them, otherwise null.</summary>
    long? GetRowCount();

    /// <summary>A cursor over all rows, in which exactly <paramref name="columnsNeeded"/> are sure to be active.</summary>
    DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random rand = null);

    /// <summary>At most <paramref name="n"/> cursors that together yield every row exactly once.</summary>
    DataViewRowCursor[] GetRowCursorSet(IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random rand = null);
}

/// <summary>Writes the current value of a column into <paramref name="value"/>, whose buffers it may reuse.</summary>
public delegate void ValueGetter<TValue>(ref TValue value);

/// <summary>A row: its values are fetched by getters, which are asked for once and called for each position.</summary>
public abstract class DataViewRow : IDisposable
{
    private bool _disposed;

    /// <summary>The row's number in its cursor; -1 before the first and after the last row.</summary>
    public abstract long Position { get; }

    /// <summary>In a set of cursors, rows of a lower batch come before the rows of a higher one.</summary>
    public abstract long Batch { get; }

    public abstract DataViewSchema Schema { get; }

    /// <summary>A getter of an id that does not depend on the order in which the rows are visited.</summary>
    public abstract ValueGetter<DataViewRowId> GetIdGetter();

    public abstract bool IsColumnActive(DataViewSchema.Column column);

    public abstract ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column);

    public void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    protected virtual void Dispose(bool disposing)
    {
    }
}

/// <summary>A row that moves over a data view. It starts before the first row.</summary>
public abstract class DataViewRowCursor : DataViewRow
{
    public abstract bool MoveNext();
}
