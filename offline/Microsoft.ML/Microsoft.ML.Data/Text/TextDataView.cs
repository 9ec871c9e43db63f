namespace Microsoft.ML.Data;

/// <summary>Lines of files as rows. Values are parsed when they are asked for.</summary>
internal sealed class TextDataView(DataViewSchema schema, TextColumn[] columns, TextLoader.Options options, IMultiStreamSource files)
    : IDataView
{
    public DataViewSchema Schema => schema;

    public bool CanShuffle => false;

    public long? GetRowCount() => null;

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random rand = null) =>
        new Cursor(schema, columnsNeeded, columns, new TextLines(files, options, skipHeader: options.HasHeader),
            options.MaxRows ?? long.MaxValue);

    public DataViewRowCursor[] GetRowCursorSet(IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random rand = null) =>
        [GetRowCursor(columnsNeeded)];

    private sealed class Cursor(DataViewSchema schema, IEnumerable<DataViewSchema.Column> columnsNeeded, TextColumn[] columns,
        TextLines lines, long maxRows) : RootCursor(schema, columnsNeeded)
    {
        public override ValueGetter<DataViewRowId> GetIdGetter() => (ref DataViewRowId value) =>
        {
            CheckOnRow();
            value = new DataViewRowId((ulong)Position, 0);
        };

        protected override Delegate MakeGetter(int column) => columns[column].MakeGetter(lines);

        protected override bool MoveNextCore() => Position + 1 < maxRows && lines.MoveNext();

        protected override void Dispose(bool disposing)
        {
            if (disposing)
                lines.Dispose();
            base.Dispose(disposing);
        }
    }
}
