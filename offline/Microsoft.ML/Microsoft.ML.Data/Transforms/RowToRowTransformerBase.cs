using Microsoft.ML.Runtime;

namespace Microsoft.ML.Data;

/// <summary>The one base of the transformers that add columns, each value of which is computed from one row.</summary>
public abstract class RowToRowTransformerBase : ITransformer
{
    private protected readonly IHost Host;

    private protected RowToRowTransformerBase(IHost host) => Host = host;

    bool ITransformer.IsRowToRowMapper => true;

    IRowToRowMapper ITransformer.GetRowToRowMapper(DataViewSchema inputSchema) => MakeMapper(inputSchema);

    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema) => MakeMapper(inputSchema).OutputSchema;

    public IDataView Transform(IDataView input)
    {
        Host.CheckValue(input, nameof(input));
        return new MappedDataView(input, MakeMapper(input.Schema));
    }

    void ICanSaveModel.Save(ModelSaveContext ctx) => SaveModel(ctx);

    private protected abstract void SaveModel(ModelSaveContext ctx);

    /// <summary>The columns that are added to an input, or an exception that says why they cannot be.</summary>
    private protected abstract IEnumerable<ComputedColumn> Bind(DataViewSchema inputSchema);

    private RowMapper MakeMapper(DataViewSchema inputSchema)
    {
        Host.CheckValue(inputSchema, nameof(inputSchema));
        return new RowMapper(inputSchema, [.. inputSchema], [.. Bind(inputSchema)]);
    }
}
