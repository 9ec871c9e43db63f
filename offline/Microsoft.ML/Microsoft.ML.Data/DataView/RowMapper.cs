using Microsoft.ML.Runtime;

namespace Microsoft.ML.Data;

/// <summary>A column that a transformer computes.</summary>
/// <param name="Column">Its name, type and annotations.</param>
/// <param name="Inputs">The input columns that it is computed from.</param>
/// <param name="MakeGetter">Makes its <see cref="ValueGetter{TValue}"/> on an input row in which these are active.</param>
internal sealed record ComputedColumn(
    DataViewSchema.DetachedColumn Column, IReadOnlyList<DataViewSchema.Column> Inputs, Func<DataViewRow, Delegate> MakeGetter);

/// <summary>Maps rows to some of their own columns, followed by computed ones.</summary>
internal sealed class RowMapper : IRowToRowMapper
{
    private readonly IReadOnlyList<DataViewSchema.Column> _kept;
    private readonly IReadOnlyList<ComputedColumn> _computed;

    public RowMapper(DataViewSchema inputSchema, IReadOnlyList<DataViewSchema.Column> kept, IReadOnlyList<ComputedColumn> computed)
    {
        InputSchema = inputSchema;
        _kept = kept;
        _computed = computed;
        var builder = new DataViewSchema.Builder();
        builder.AddColumns(kept);
        builder.AddColumns(computed.Select(column => column.Column));
        OutputSchema = builder.ToSchema();
    }

    public DataViewSchema InputSchema { get; }

    public DataViewSchema OutputSchema { get; }

    public IEnumerable<DataViewSchema.Column> GetDependencies(IEnumerable<DataViewSchema.Column> dependingColumns) => dependingColumns
        .SelectMany(column => column.Index < _kept.Count ? [_kept[column.Index]] : _computed[column.Index - _kept.Count].Inputs)
        .DistinctBy(column => column.Index)
        .ToArray();

    public DataViewRow GetRow(DataViewRow input, IEnumerable<DataViewSchema.Column> activeColumns)
    {
        Contracts.CheckValue(null, input, nameof(input));
        if (input.Schema != InputSchema)
            throw Contracts.ExceptParam(null, nameof(input), "The schema of the row must be the one that the mapper was made for.");
        return new MappedRow(this, input, activeColumns);
    }

    private sealed class MappedRow(RowMapper mapper, DataViewRow input, IEnumerable<DataViewSchema.Column> activeColumns) : DataViewRow
    {
        private readonly ColumnGetters _getters = new(mapper.OutputSchema, activeColumns,
            column => mapper._computed[column - mapper._kept.Count].MakeGetter(input));

        public override DataViewSchema Schema => mapper.OutputSchema;

        public override long Position => input.Position;

        public override long Batch => input.Batch;

        public override ValueGetter<DataViewRowId> GetIdGetter() => input.GetIdGetter();

        public override bool IsColumnActive(DataViewSchema.Column column) => _getters.IsActive(column);

        public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column) =>
            column.Index < mapper._kept.Count && _getters.IsActive(column)
                ? input.GetGetter<TValue>(mapper._kept[column.Index])
                : _getters.Get<TValue>(column);

        protected override void Dispose(bool disposing)
        {
            if (disposing)
                input.Dispose();
            base.Dispose(disposing);
        }
    }
}
