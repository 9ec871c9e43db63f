namespace Microsoft.ML.Data;

/// <summary>The <paramref name="count"/> rows of a data view from <paramref name="first"/> on.</summary>
internal sealed class RowRangeDataView(IDataView input, long first, long count) : IDataView
{
    public DataViewSchema Schema => input.Schema;

    public bool CanShuffle => false;

    public long? GetRowCount() => input.GetRowCount() is { } all ? Math.Clamp(all - first, 0, count) : null;

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random rand = null) =>
        new Cursor(input.GetRowCursor(columnsNeeded), first, count);

    public DataViewRowCursor[] GetRowCursorSet(IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random rand = null) =>
        [GetRowCursor(columnsNeeded)];

    private sealed class Cursor(DataViewRowCursor input, long first, long count) : DelegatingCursor(input, input)
    {
        private long _position = -1;
        private long _toSkip = first;
        private bool _isDone;

        public override long Position => _position;

        public override bool MoveNext()
        {
            while (_toSkip-- > 0 && base.MoveNext())
            {
            }
            _isDone = _isDone || _position + 1 == count || !base.MoveNext();
            _position = _isDone ? -1 : _position + 1;
            return !_isDone;
        }
    }
}
