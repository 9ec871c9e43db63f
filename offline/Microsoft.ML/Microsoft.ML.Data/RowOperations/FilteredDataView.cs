namespace Microsoft.ML.Data;

/// <summary>Those rows of a data view that a test lets pass.</summary>
/// <param name="input">The rows.</param>
/// <param name="tested">The columns that the test reads.</param>
/// <param name="makeTest">Makes the test of the row that a cursor stands on, which is called once for each row.</param>
/// <param name="isByOrder">Whether the test's result depends on the rows before: then they come in their order, to one cursor.</param>
internal sealed class FilteredDataView(IDataView input, DataViewSchema.Column[] tested, Func<DataViewRow, Func<bool>> makeTest,
    bool isByOrder = false) : IDataView
{
    public DataViewSchema Schema => input.Schema;

    public bool CanShuffle => input.CanShuffle && !isByOrder;

    public long? GetRowCount() => null;

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random rand = null) =>
        Filter(input.GetRowCursor(columnsNeeded.Concat(tested), isByOrder ? null : rand));

    public DataViewRowCursor[] GetRowCursorSet(IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random rand = null) => isByOrder
        ? [GetRowCursor(columnsNeeded)]
        : Array.ConvertAll(input.GetRowCursorSet(columnsNeeded.Concat(tested), n, rand), Filter);

    private DataViewRowCursor Filter(DataViewRowCursor cursor) => new Cursor(cursor, makeTest(cursor));

    private sealed class Cursor(DataViewRowCursor input, Func<bool> test) : DelegatingCursor(input, input)
    {
        private long _position = -1;

        public override long Position => _position;

        public override bool MoveNext()
        {
            while (base.MoveNext())
            {
                if (test())
                {
                    _position++;
                    return true;
                }
            }
            _position = -1;
            return false;
        }
    }
}
