using Microsoft.ML.Data;

namespace Microsoft.ML.SparseCtr;

/// <summary>A transformer that adds columns to rows, each computed from its own row, and leaves the others as they are.</summary>
public abstract class ColumnAddingTransformer : ITransformer
{
    private protected ColumnAddingTransformer()
    {
    }

    /// <inheritdoc/>
    public bool IsRowToRowMapper => true;

    /// <inheritdoc/>
    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema) => GetRowToRowMapper(inputSchema).OutputSchema;

    /// <inheritdoc/>
    /// <exception cref="ArgumentOutOfRangeException">A column that is read is missing, of the wrong type, or has another number of keys than at Fit.</exception>
    public IRowToRowMapper GetRowToRowMapper(DataViewSchema inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        return MapperFor(inputSchema);
    }

    /// <inheritdoc/>
    /// <exception cref="ArgumentOutOfRangeException">A column that is read is missing, of the wrong type, or has another number of keys than at Fit.</exception>
    public IDataView Transform(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        return MapperFor(input.Schema).Map(input);
    }

    void ICanSaveModel.Save(ModelSaveContext ctx) => Save(ctx);

    /// <summary>Checks the columns that are read, and makes what adds the new ones.</summary>
    private protected abstract ColumnAddingMapper MapperFor(DataViewSchema schema);

    private protected abstract void Save(ModelSaveContext context);
}
