using Microsoft.ML.Data;

namespace Microsoft.ML;

/// <summary>An untrained operator: fitted on data it becomes a transformer.</summary>
public interface IEstimator<out TTransformer> where TTransformer : ITransformer
{
    TTransformer Fit(IDataView input);

    /// <summary>
    /// The shape of what the fitted transformer makes of an input of the given shape; throws where it could not be fitted.
    /// </summary>
    SchemaShape GetOutputSchema(SchemaShape inputSchema);
}

/// <summary>Makes one data view of another, lazily.</summary>
public interface ITransformer : ICanSaveModel
{
    DataViewSchema GetOutputSchema(DataViewSchema inputSchema);

    IDataView Transform(IDataView input);

    /// <summary>Whether each output row depends on one input row alone.</summary>
    bool IsRowToRowMapper { get; }

    IRowToRowMapper GetRowToRowMapper(DataViewSchema inputSchema);
}

/// <summary>Makes data views of sources such as files.</summary>
public interface IDataLoader<in TSource>
{
    IDataView Load(TSource input);

    DataViewSchema GetOutputSchema();
}

/// <summary>What can write itself into a model file. Implementations are explicit.</summary>
public interface ICanSaveModel
{
    void Save(ModelSaveContext ctx);
}
