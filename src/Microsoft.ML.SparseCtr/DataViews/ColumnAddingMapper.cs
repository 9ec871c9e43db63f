using Microsoft.ML.Data;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// Maps rows to the same rows with computed columns beside their own; where a name is taken, the computed column hides the older one, as
/// anywhere in ML.NET. It maps single rows and whole views; what it adds is computed when it is asked for.
/// </summary>
internal abstract class ColumnAddingMapper : IRowToRowMapper
{
    protected ColumnAddingMapper(DataViewSchema inputSchema, IEnumerable<DataViewSchema.DetachedColumn> added)
    {
        InputSchema = inputSchema;
        var builder = new DataViewSchema.Builder();
        builder.AddColumns(inputSchema);
        builder.AddColumns(added);
        OutputSchema = builder.ToSchema();
    }

    public DataViewSchema InputSchema { get; }

    public DataViewSchema OutputSchema { get; }

    /// <summary>The input columns that the added ones are computed from.</summary>
    protected abstract IEnumerable<string> ReadColumnNames { get; }

    /// <summary>Makes the <see cref="ValueGetter{TValue}"/> of each added column over a row in which the columns read are active.</summary>
    protected abstract Delegate[] MakeGetters(DataViewRow input);

    /// <summary>Whether several rows are computed at once where a view is read in its order.</summary>
    protected virtual bool ReadsAhead => false;

    /// <summary>
    /// Makes the getters over a cursor that runs through all of a view in its order, and what is to be disposed with the cursor. Called only
    /// where <see cref="ReadsAhead"/>.
    /// </summary>
    protected virtual (Delegate[] Getters, IDisposable Resource) MakeGettersAhead(DataViewRowCursor cursor, IDataView input) => throw new NotSupportedException();

    /// <summary>Has something computed once for a row, however often, and by however many of the added columns, it is asked for.</summary>
    protected static Func<T> OncePerRow<T>(DataViewRow row, Func<T> compute)
    {
        long? position = null;
        T value = default!;
        return () =>
        {
            if (position != row.Position)
                (value, position) = (compute(), row.Position);
            return value;
        };
    }

    public IDataView Map(IDataView input) => new View(this, input);

    public IEnumerable<DataViewSchema.Column> GetDependencies(IEnumerable<DataViewSchema.Column> dependingColumns)
    {
        DataViewSchema.Column[] wanted = dependingColumns.ToArray();
        IEnumerable<int> passed = wanted.Where(column => !IsAdded(column)).Select(column => column.Index);
        IEnumerable<int> read = wanted.Any(IsAdded) ? ReadColumnNames.Select(name => InputSchema[name].Index) : [];
        return passed.Concat(read).Distinct().Select(index => InputSchema[index]);
    }

    public DataViewRow GetRow(DataViewRow input, IEnumerable<DataViewSchema.Column> activeColumns)
    {
        ArgumentNullException.ThrowIfNull(input);
        if (input.Schema != InputSchema)
            throw new ArgumentException("The row must have the schema that the mapper was made for.", nameof(input));
        return new Row(new Columns(this, input, activeColumns, () => MakeGetters(input)), input);
    }

    private bool IsAdded(DataViewSchema.Column column) => column.Index >= InputSchema.Count;

    /// <summary>The columns of a row or a cursor: the input's getters, and ours.</summary>
    private sealed class Columns
    {
        private readonly ColumnAddingMapper _mapper;
        private readonly DataViewRow _input;
        private readonly bool[] _isActive;
        private readonly Delegate[] _getters = [];

        public Columns(ColumnAddingMapper mapper, DataViewRow input, IEnumerable<DataViewSchema.Column> activeColumns, Func<Delegate[]> makeGetters)
        {
            (_mapper, _input) = (mapper, input);
            _isActive = new bool[mapper.OutputSchema.Count];
            foreach (DataViewSchema.Column column in activeColumns)
                _isActive[column.Index] = true;
            if (_isActive.AsSpan(mapper.InputSchema.Count).Contains(true))
                _getters = makeGetters();
        }

        public DataViewSchema Schema => _mapper.OutputSchema;

        public bool IsActive(DataViewSchema.Column column) => _isActive[column.Index];

        public ValueGetter<TValue> Getter<TValue>(DataViewSchema.Column column)
        {
            if (!_isActive[column.Index])
                throw new InvalidOperationException($"Column '{column.Name}' is not active: it was not among the columns asked for.");
            if (!_mapper.IsAdded(column))
                return _input.GetGetter<TValue>(_mapper.InputSchema[column.Index]);
            return _getters[column.Index - _mapper.InputSchema.Count] as ValueGetter<TValue>
                ?? throw new InvalidOperationException($"Column '{column.Name}' holds {column.Type.RawType}, not {typeof(TValue)}.");
        }
    }

    private sealed class Row(Columns columns, DataViewRow input) : DataViewRow
    {
        public override DataViewSchema Schema => columns.Schema;
        public override long Position => input.Position;
        public override long Batch => input.Batch;
        public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column) => columns.Getter<TValue>(column);
        public override ValueGetter<DataViewRowId> GetIdGetter() => input.GetIdGetter();
        public override bool IsColumnActive(DataViewSchema.Column column) => columns.IsActive(column);

        protected override void Dispose(bool disposing)
        {
            if (disposing)
                input.Dispose();
            base.Dispose(disposing);
        }
    }

    private sealed class View(ColumnAddingMapper mapper, IDataView input) : IDataView
    {
        public bool CanShuffle => input.CanShuffle;

        public DataViewSchema Schema => mapper.OutputSchema;

        public long? GetRowCount() => input.GetRowCount();

        public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null)
        {
            DataViewSchema.Column[] active = columnsNeeded.ToArray();
            bool ahead = mapper.ReadsAhead && (rand is null || !input.CanShuffle);
            return Open(input.GetRowCursor(mapper.GetDependencies(active), rand), active, ahead);
        }

        public DataViewRowCursor[] GetRowCursorSet(IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null)
        {
            DataViewSchema.Column[] active = columnsNeeded.ToArray();
            // One cursor that computes many rows at once is faster than several that compute one.
            if (mapper.ReadsAhead && (rand is null || !input.CanShuffle))
                return [GetRowCursor(active)];
            return input.GetRowCursorSet(mapper.GetDependencies(active), n, rand).Select(cursor => Open(cursor, active, ahead: false)).ToArray();
        }

        private Cursor Open(DataViewRowCursor cursor, DataViewSchema.Column[] active, bool ahead)
        {
            IDisposable? resource = null;
            try
            {
                var columns = new Columns(mapper, cursor, active, () =>
                {
                    if (!ahead)
                        return mapper.MakeGetters(cursor);
                    (Delegate[] getters, resource) = mapper.MakeGettersAhead(cursor, input);
                    return getters;
                });
                return new Cursor(columns, cursor, resource);
            }
            catch
            {
                cursor.Dispose();
                throw;
            }
        }
    }

    private sealed class Cursor(Columns columns, DataViewRowCursor input, IDisposable? resource) : DataViewRowCursor
    {
        public override DataViewSchema Schema => columns.Schema;
        public override long Position => input.Position;
        public override long Batch => input.Batch;
        public override bool MoveNext() => input.MoveNext();
        public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column) => columns.Getter<TValue>(column);
        public override ValueGetter<DataViewRowId> GetIdGetter() => input.GetIdGetter();
        public override bool IsColumnActive(DataViewSchema.Column column) => columns.IsActive(column);

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                resource?.Dispose();
                input.Dispose();
            }
            base.Dispose(disposing);
        }
    }
}
