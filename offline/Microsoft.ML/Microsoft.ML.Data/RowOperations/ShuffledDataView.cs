namespace Microsoft.ML.Data;

/// <summary>The rows of a data view in random order, the same in each pass unless the cursor is given a random generator.</summary>
internal sealed class ShuffledDataView(IDataView input, int seed, int poolSize, bool shuffleSource) : IDataView
{
    public DataViewSchema Schema => input.Schema;

    public bool CanShuffle => true;

    public long? GetRowCount() => input.GetRowCount();

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random rand = null)
    {
        rand ??= new Random(seed);
        var source = input.GetRowCursor(columnsNeeded, shuffleSource && input.CanShuffle ? rand : null);
        return new Cursor(source, columnsNeeded, rand, poolSize);
    }

    public DataViewRowCursor[] GetRowCursorSet(IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random rand = null) =>
        [GetRowCursor(columnsNeeded, rand)];

    /// <summary>Keeps a pool of rows that were read: the next row is any of them, and the row that is read next takes its place.</summary>
    private sealed class Cursor : RootCursor
    {
        private readonly DataViewRowCursor _source;
        private readonly Random _random;
        private readonly ColumnBuffer[] _columns;
        private readonly List<DataViewRowId> _ids = [];
        private readonly List<int> _slots = [];
        private readonly int _poolSize;
        private readonly ValueGetter<DataViewRowId> _getSourceId;
        private int _currentSlot = -1;

        public Cursor(DataViewRowCursor source, IEnumerable<DataViewSchema.Column> columnsNeeded, Random random, int poolSize)
            : base(source.Schema, columnsNeeded)
        {
            _source = source;
            _random = random;
            _poolSize = poolSize;
            _getSourceId = source.GetIdGetter();
            _columns = new ColumnBuffer[source.Schema.Count];
            foreach (var column in columnsNeeded)
            {
                _columns[column.Index] = ColumnBuffer.Create(column.Type);
                _columns[column.Index].ReadFrom(source, column);
            }
        }

        public override ValueGetter<DataViewRowId> GetIdGetter() => (ref DataViewRowId value) => value = _ids[CurrentSlot()];

        protected override Delegate MakeGetter(int column) => _columns[column].MakeGetter(CurrentSlot);

        protected override bool MoveNextCore()
        {
            if (_currentSlot >= 0 && ReadInto(_currentSlot))
                _slots.Add(_currentSlot);
            while (_ids.Count < _poolSize && ReadInto(_ids.Count))
                _slots.Add(_ids.Count - 1);
            if (_slots.Count == 0)
                return false;
            int chosen = _random.Next(_slots.Count);
            _currentSlot = _slots[chosen];
            _slots[chosen] = _slots[^1];
            _slots.RemoveAt(_slots.Count - 1);
            return true;
        }

        private bool ReadInto(int slot)
        {
            if (!_source.MoveNext())
                return false;
            foreach (var column in _columns)
                column?.Store(slot);
            DataViewRowId id = default;
            _getSourceId(ref id);
            if (slot == _ids.Count)
                _ids.Add(id);
            else
                _ids[slot] = id;
            return true;
        }

        private int CurrentSlot()
        {
            CheckOnRow();
            return _currentSlot;
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
                _source.Dispose();
            base.Dispose(disposing);
        }
    }
}
