namespace Microsoft.ML.Data;

/// <summary>The rows of another data view, each mapped by itself.</summary>
internal sealed class MappedDataView(IDataView input, IRowToRowMapper mapper) : IDataView
{
    public DataViewSchema Schema => mapper.OutputSchema;

    public bool CanShuffle => input.CanShuffle;

    public long? GetRowCount() => input.GetRowCount();

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random rand = null) =>
        Map(input.GetRowCursor(mapper.GetDependencies(columnsNeeded), rand), columnsNeeded);

    public DataViewRowCursor[] GetRowCursorSet(IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random rand = null) =>
        Array.ConvertAll(input.GetRowCursorSet(mapper.GetDependencies(columnsNeeded), n, rand), cursor => Map(cursor, columnsNeeded));

    private DataViewRowCursor Map(DataViewRowCursor cursor, IEnumerable<DataViewSchema.Column> columnsNeeded) =>
        new DelegatingCursor(cursor, mapper.GetRow(cursor, columnsNeeded));
}
