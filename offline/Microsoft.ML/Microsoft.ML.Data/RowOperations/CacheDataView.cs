using Microsoft.ML.Runtime;

namespace Microsoft.ML.Data;

/// <summary>Keeps in memory those columns of a data view that cursors have asked for, all rows of them from the first time on.</summary>
internal sealed class CacheDataView : IDataView
{
    private readonly IDataView _input;
    private readonly DataViewSchema.Column[] _prefetched;
    private readonly ColumnBuffer[] _columns;
    private readonly Lock _filling = new();
    private long? _rowCount;

    public CacheDataView(IDataView input, params string[] columnsToPrefetch)
    {
        _input = input;
        _prefetched = Array.ConvertAll(columnsToPrefetch ?? [], name =>
            input.Schema.GetColumn(null, "prefetch", name, nameof(columnsToPrefetch)));
        _columns = new ColumnBuffer[input.Schema.Count];
    }

    public DataViewSchema Schema => _input.Schema;

    public bool CanShuffle => true;

    public long? GetRowCount() => _rowCount ?? _input.GetRowCount();

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random rand = null) =>
        GetRowCursorSet(columnsNeeded, 1, rand)[0];

    public DataViewRowCursor[] GetRowCursorSet(IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random rand = null)
    {
        long rowCount = Fill(columnsNeeded);
        return Array.ConvertAll(RowOrder.Split(rowCount, n, rand), part =>
            (DataViewRowCursor)new Cursor(this, columnsNeeded, part.Batch, part.Rows));
    }

    private long Fill(IEnumerable<DataViewSchema.Column> columnsNeeded)
    {
        lock (_filling)
        {
            var missing = columnsNeeded.Concat(_prefetched).DistinctBy(column => column.Index)
                .Where(column => _columns[column.Index] is null).ToArray();
            if (missing.Length == 0 && _rowCount is { } known)
                return known;
            using var cursor = _input.GetRowCursor(missing);
            var buffers = Array.ConvertAll(missing, column => ColumnBuffer.Create(column.Type));
            for (int i = 0; i < missing.Length; i++)
                buffers[i].ReadFrom(cursor, missing[i]);
            int row = 0;
            for (; cursor.MoveNext(); row++)
            {
                foreach (var buffer in buffers)
                    buffer.Store(row);
            }
            if (_rowCount is { } before && before != row)
                throw Contracts.Except(null, $"The input had {before} rows when it was first read, and now has {row}.");
            for (int i = 0; i < missing.Length; i++)
                _columns[missing[i].Index] = buffers[i];
            _rowCount = row;
            return row;
        }
    }

    private sealed class Cursor(CacheDataView view, IEnumerable<DataViewSchema.Column> columnsNeeded, long batch, IEnumerable<long> rows)
        : RootCursor(view.Schema, columnsNeeded)
    {
        private readonly IEnumerator<long> _rows = rows.GetEnumerator();

        public override long Batch => batch;

        public override ValueGetter<DataViewRowId> GetIdGetter() => (ref DataViewRowId value) =>
            value = new DataViewRowId((ulong)CurrentRow(), 0);

        protected override Delegate MakeGetter(int column) => view._columns[column].MakeGetter(CurrentRow);

        protected override bool MoveNextCore() => _rows.MoveNext();

        private int CurrentRow()
        {
            CheckOnRow();
            return (int)_rows.Current;
        }
    }
}
