using Microsoft.ML.Data;

namespace Microsoft.ML.SparseCtr;

/// <summary>A view, or a single row, with the score columns beside its own. Scores are computed when asked for, once per row.</summary>
internal sealed class ScoringMapper : IRowToRowMapper
{
    private readonly SparseCtrTransformer _transformer;

    public ScoringMapper(SparseCtrTransformer transformer, DataViewSchema inputSchema)
    {
        transformer.CheckColumns(inputSchema);
        _transformer = transformer;
        InputSchema = inputSchema;
        OutputSchema = ScoreColumns.AddTo(inputSchema);
    }

    public DataViewSchema InputSchema { get; }

    public DataViewSchema OutputSchema { get; }

    public IEnumerable<DataViewSchema.Column> GetDependencies(IEnumerable<DataViewSchema.Column> dependingColumns)
    {
        DataViewSchema.Column[] wanted = dependingColumns.ToArray();
        IEnumerable<int> passed = wanted.Where(column => column.Index < InputSchema.Count).Select(column => column.Index);
        IEnumerable<int> read = wanted.Any(column => column.Index >= InputSchema.Count)
            ? InputColumn.Of(_transformer.Config).Select(column => InputSchema[column.Name].Index)
            : [];
        return passed.Concat(read).Distinct().Select(index => InputSchema[index]);
    }

    public DataViewRow GetRow(DataViewRow input, IEnumerable<DataViewSchema.Column> activeColumns)
    {
        ArgumentNullException.ThrowIfNull(input);
        if (input.Schema != InputSchema)
            throw new ArgumentException("The row must have the schema that the mapper was made for.", nameof(input));
        return new ScoredRow(this, input, activeColumns);
    }

    /// <summary>The columns of a row or a cursor: the input's getters, and ours.</summary>
    private sealed class Columns
    {
        private readonly ScoringMapper _mapper;
        private readonly DataViewRow _input;
        private readonly bool[] _isActive;
        private readonly RowReader? _reader;
        private long? _scoredPosition;
        private float _score;

        public Columns(ScoringMapper mapper, DataViewRow input, IEnumerable<DataViewSchema.Column> activeColumns)
        {
            (_mapper, _input) = (mapper, input);
            _isActive = new bool[mapper.OutputSchema.Count];
            foreach (DataViewSchema.Column column in activeColumns)
                _isActive[column.Index] = true;
            if (_isActive.AsSpan(mapper.InputSchema.Count).Contains(true))
                _reader = new RowReader(input, mapper._transformer.Config, labelColumnName: null);
        }

        public bool IsActive(DataViewSchema.Column column) => _isActive[column.Index];

        public ValueGetter<TValue> Getter<TValue>(DataViewSchema.Column column)
        {
            if (!_isActive[column.Index])
                throw new InvalidOperationException($"Column '{column.Name}' is not active: it was not among the columns asked for.");
            if (column.Index < _mapper.InputSchema.Count)
                return _input.GetGetter<TValue>(_mapper.InputSchema[column.Index]);

            Delegate getter = (column.Index - _mapper.InputSchema.Count) switch
            {
                0 => (ValueGetter<float>)((ref float value) => value = Score()),
                1 => (ValueGetter<float>)((ref float value) => value = 1 / (1 + MathF.Exp(-Score()))),
                _ => (ValueGetter<bool>)((ref bool value) => value = Score() > 0),
            };
            return getter as ValueGetter<TValue>
                ?? throw new InvalidOperationException($"Column '{column.Name}' holds {column.Type.RawType}, not {typeof(TValue)}.");
        }

        private float Score()
        {
            if (_scoredPosition != _input.Position)
            {
                _score = _mapper._transformer.Score(_reader!.Read());
                _scoredPosition = _input.Position;
            }
            return _score;
        }
    }

    private sealed class ScoredRow(ScoringMapper mapper, DataViewRow input, IEnumerable<DataViewSchema.Column> activeColumns) : DataViewRow
    {
        private readonly Columns _columns = new(mapper, input, activeColumns);

        public override DataViewSchema Schema => mapper.OutputSchema;
        public override long Position => input.Position;
        public override long Batch => input.Batch;
        public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column) => _columns.Getter<TValue>(column);
        public override ValueGetter<DataViewRowId> GetIdGetter() => input.GetIdGetter();
        public override bool IsColumnActive(DataViewSchema.Column column) => _columns.IsActive(column);

        protected override void Dispose(bool disposing)
        {
            if (disposing)
                input.Dispose();
            base.Dispose(disposing);
        }
    }

    /// <summary>All rows of a view, scored.</summary>
    internal sealed class View(ScoringMapper mapper, IDataView input) : IDataView
    {
        public bool CanShuffle => input.CanShuffle;

        public DataViewSchema Schema => mapper.OutputSchema;

        public long? GetRowCount() => input.GetRowCount();

        public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null)
        {
            DataViewSchema.Column[] active = columnsNeeded.ToArray();
            return new Cursor(mapper, input.GetRowCursor(mapper.GetDependencies(active), rand), active);
        }

        public DataViewRowCursor[] GetRowCursorSet(IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null)
        {
            DataViewSchema.Column[] active = columnsNeeded.ToArray();
            return input.GetRowCursorSet(mapper.GetDependencies(active), n, rand).Select(cursor => new Cursor(mapper, cursor, active)).ToArray();
        }
    }

    private sealed class Cursor(ScoringMapper mapper, DataViewRowCursor input, DataViewSchema.Column[] activeColumns) : DataViewRowCursor
    {
        private readonly Columns _columns = new(mapper, input, activeColumns);

        public override DataViewSchema Schema => mapper.OutputSchema;
        public override long Position => input.Position;
        public override long Batch => input.Batch;
        public override bool MoveNext() => input.MoveNext();
        public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column) => _columns.Getter<TValue>(column);
        public override ValueGetter<DataViewRowId> GetIdGetter() => input.GetIdGetter();
        public override bool IsColumnActive(DataViewSchema.Column column) => _columns.IsActive(column);

        protected override void Dispose(bool disposing)
        {
            if (disposing)
                input.Dispose();
            base.Dispose(disposing);
        }
    }
}
