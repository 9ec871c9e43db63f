using System.Text;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML;

/// <summary>Saves, loads and serves models.</summary>
public sealed class ModelOperationsCatalog : IInternalCatalog
{
    private const string ModelFolder = "TransformerChain";
    private const string SchemaEntryName = "Schema";

    private readonly IHostEnvironment _env;

    internal ModelOperationsCatalog(IHostEnvironment env) => _env = env;

    IHostEnvironment IInternalCatalog.Environment => _env;

    public void Save(ITransformer model, DataViewSchema inputSchema, Stream stream)
    {
        _env.CheckValue(model, nameof(model));
        _env.CheckValue(stream, nameof(stream));
        var repository = new RepositoryWriter(_env, stream);
        repository.AddEntry("TrainingInfo", "Version.txt", content =>
        {
            using var writer = new StreamWriter(content, leaveOpen: true);
            writer.WriteLine(typeof(ModelOperationsCatalog).Assembly.GetName().Version.ToString(3));
        });
        ModelSaveContext.SaveModel(repository, model, ModelFolder);
        if (inputSchema is not null)
        {
            repository.AddEntry(null, SchemaEntryName, content =>
            {
                using var writer = new BinaryWriter(content, Encoding.UTF8, leaveOpen: true);
                writer.WriteSchema(inputSchema);
            });
        }
        repository.Commit();
    }

    public void Save(ITransformer model, DataViewSchema inputSchema, string filePath)
    {
        _env.CheckNonEmpty(filePath, nameof(filePath));
        using var stream = File.Create(filePath);
        Save(model, inputSchema, stream);
    }

    /// <summary>Loads a model, and the schema that it was saved with: null if there was none.</summary>
    public ITransformer Load(Stream stream, out DataViewSchema inputSchema)
    {
        _env.CheckValue(stream, nameof(stream));
        using var repository = new RepositoryReader(_env, stream);
        var model = ModelLoadContext.LoadModel<ITransformer, SignatureLoadModel>(_env, repository, ModelFolder);
        using var schema = repository.OpenEntryOrNull(null, SchemaEntryName);
        using var reader = schema is null ? null : new BinaryReader(schema);
        inputSchema = reader?.ReadSchema();
        return model;
    }

    public ITransformer Load(string filePath, out DataViewSchema inputSchema)
    {
        _env.CheckNonEmpty(filePath, nameof(filePath));
        using var stream = File.OpenRead(filePath);
        return Load(stream, out inputSchema);
    }

    /// <summary>An engine that predicts for one object at a time. It is not thread-safe.</summary>
    public PredictionEngine<TSrc, TDst> CreatePredictionEngine<TSrc, TDst>(ITransformer transformer, bool ignoreMissingColumns = true,
        SchemaDefinition inputSchemaDefinition = null, SchemaDefinition outputSchemaDefinition = null)
        where TSrc : class
        where TDst : class, new() =>
        CreatePredictionEngine<TSrc, TDst>(transformer, new PredictionEngineOptions
        {
            IgnoreMissingColumns = ignoreMissingColumns,
            InputSchemaDefinition = inputSchemaDefinition,
            OutputSchemaDefinition = outputSchemaDefinition,
        });

    /// <summary>An engine whose input columns have the annotations of the columns of <paramref name="inputSchema"/>.</summary>
    public PredictionEngine<TSrc, TDst> CreatePredictionEngine<TSrc, TDst>(ITransformer transformer, DataViewSchema inputSchema)
        where TSrc : class
        where TDst : class, new() =>
        CreatePredictionEngine<TSrc, TDst>(transformer, new PredictionEngineOptions
        {
            IgnoreMissingColumns = false,
            InputSchemaDefinition = RowMember<TSrc>.GetDefinition(inputSchema),
        });

    public PredictionEngine<TSrc, TDst> CreatePredictionEngine<TSrc, TDst>(ITransformer transformer, PredictionEngineOptions options)
        where TSrc : class
        where TDst : class, new()
    {
        _env.CheckValue(transformer, nameof(transformer));
        _env.CheckValue(options, nameof(options));
        return new PredictionEngine<TSrc, TDst>(transformer, options);
    }
}
