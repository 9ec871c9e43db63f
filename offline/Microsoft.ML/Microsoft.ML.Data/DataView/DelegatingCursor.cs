namespace Microsoft.ML.Data;

/// <summary>A cursor whose values are those of a row that moves with the cursor <paramref name="input"/>.</summary>
internal class DelegatingCursor(DataViewRowCursor input, DataViewRow row) : DataViewRowCursor
{
    public sealed override DataViewSchema Schema => row.Schema;

    public override long Position => row.Position;

    public sealed override long Batch => row.Batch;

    public override bool MoveNext() => input.MoveNext();

    public sealed override ValueGetter<DataViewRowId> GetIdGetter() => row.GetIdGetter();

    public sealed override bool IsColumnActive(DataViewSchema.Column column) => row.IsColumnActive(column);

    public sealed override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column) => row.GetGetter<TValue>(column);

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            row.Dispose();
        base.Dispose(disposing);
    }
}
