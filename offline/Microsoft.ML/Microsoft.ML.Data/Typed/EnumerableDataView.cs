using System.Runtime.CompilerServices;

namespace Microsoft.ML.Data;

/// <summary>The objects of a sequence as rows. Those of a list can also be visited in random order, and by several cursors.</summary>
internal sealed class EnumerableDataView<TRow> : IDataView where TRow : class
{
    private readonly IEnumerable<TRow> _rows;
    private readonly RowMember<TRow>[] _members;

    public EnumerableDataView(IEnumerable<TRow> rows, SchemaDefinition definition)
    {
        _rows = rows;
        _members = RowMember<TRow>.GetAll(definition, SchemaDefinition.Direction.Read);
        var builder = new DataViewSchema.Builder();
        builder.AddColumns(_members.Select(member => member.Column));
        Schema = builder.ToSchema();
    }

    public DataViewSchema Schema { get; }

    public bool CanShuffle => _rows is IList<TRow>;

    public long? GetRowCount() => (_rows as IList<TRow>)?.Count;

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random rand = null) =>
        GetRowCursorSet(columnsNeeded, 1, rand)[0];

    public DataViewRowCursor[] GetRowCursorSet(IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random rand = null)
    {
        if (_rows is not IList<TRow> list)
            return [new Cursor(this, columnsNeeded, 0, Rows())];
        return Array.ConvertAll(RowOrder.Split(list.Count, n, rand),
            part => (DataViewRowCursor)new Cursor(this, columnsNeeded, part.Batch, part.Rows.Select(row => (row, list[(int)row]))));
    }

    private IEnumerable<(long, TRow)> Rows()
    {
        long id = 0;
        foreach (var row in _rows)
            yield return (id++, row);
    }

    private sealed class Cursor(EnumerableDataView<TRow> view, IEnumerable<DataViewSchema.Column> columnsNeeded, long batch,
        IEnumerable<(long Id, TRow Row)> rows) : RootCursor(view.Schema, columnsNeeded)
    {
        private readonly IEnumerator<(long Id, TRow Row)> _rows = rows.GetEnumerator();
        private readonly StrongBox<TRow> _current = new();

        public override long Batch => batch;

        public override ValueGetter<DataViewRowId> GetIdGetter() => (ref DataViewRowId value) =>
        {
            CheckOnRow();
            value = new DataViewRowId((ulong)_rows.Current.Id, 0);
        };

        protected override Delegate MakeGetter(int column) => view._members[column].MakeGetter(_current);

        protected override bool MoveNextCore()
        {
            bool moved = _rows.MoveNext();
            _current.Value = moved ? _rows.Current.Row : null;
            return moved;
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
                _rows.Dispose();
            base.Dispose(disposing);
        }
    }
}
