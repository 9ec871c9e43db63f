using Microsoft.ML.Runtime;

namespace Microsoft.ML.Data;

/// <summary>Mappers one after the other, the first of which maps rows of <paramref name="inputSchema"/>.</summary>
internal sealed class CompositeRowMapper(DataViewSchema inputSchema, IReadOnlyList<IRowToRowMapper> mappers) : IRowToRowMapper
{
    public DataViewSchema InputSchema => inputSchema;

    public DataViewSchema OutputSchema => mappers.Count == 0 ? inputSchema : mappers[^1].OutputSchema;

    public IEnumerable<DataViewSchema.Column> GetDependencies(IEnumerable<DataViewSchema.Column> dependingColumns) =>
        mappers.Reverse().Aggregate(dependingColumns, (columns, mapper) => mapper.GetDependencies(columns));

    public DataViewRow GetRow(DataViewRow input, IEnumerable<DataViewSchema.Column> activeColumns)
    {
        Contracts.CheckValue(null, input, nameof(input));
        if (input.Schema != inputSchema)
            throw Contracts.ExceptParam(null, nameof(input), "The schema of the row must be the one that the mapper was made for.");
        var needed = new Stack<IEnumerable<DataViewSchema.Column>>();
        foreach (var mapper in mappers.Reverse())
        {
            needed.Push(activeColumns);
            activeColumns = mapper.GetDependencies(activeColumns);
        }
        return mappers.Aggregate(input, (row, mapper) => mapper.GetRow(row, needed.Pop()));
    }
}
