using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;

[assembly: LoadableClass(typeof(ColumnSelectingTransformer), typeof(ColumnSelectingTransformer), null, typeof(SignatureLoadModel),
    "Select columns", ColumnSelectingTransformer.LoaderSignature)]

namespace Microsoft.ML.Transforms;

public sealed class ColumnSelectingEstimator : TrivialEstimator<ColumnSelectingTransformer>
{
    internal ColumnSelectingEstimator(IHostEnvironment env, string[] columnNames, bool keep, bool keepHidden)
        : base(env.Register(nameof(ColumnSelectingEstimator)), new ColumnSelectingTransformer(env, columnNames, keep, keepHidden))
    {
    }

    public override SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        Host.CheckValue(inputSchema, nameof(inputSchema));
        return new SchemaShape(Transformer.Select(inputSchema, column => column.Name));
    }
}

/// <summary>Keeps the columns of some names, in the order of the names, or those of all other names.</summary>
public sealed class ColumnSelectingTransformer : ITransformer
{
    internal const string LoaderSignature = "SelectColumns";

    private static readonly VersionInfo _version = ModelVersions.First("SELCOLST", LoaderSignature);

    private readonly IHost _host;
    private readonly string[] _columnNames;
    private readonly bool _keep;
    private readonly bool _keepHidden;

    internal ColumnSelectingTransformer(IHostEnvironment env, string[] columnNames, bool keep, bool keepHidden)
    {
        _host = env.Register(nameof(ColumnSelectingTransformer));
        _host.CheckValue(columnNames, nameof(columnNames));
        _columnNames = columnNames;
        _keep = keep;
        _keepHidden = keepHidden;
    }

    private static ColumnSelectingTransformer Create(IHostEnvironment env, ModelLoadContext ctx)
    {
        ctx.CheckAtModel(_version);
        bool keep = ctx.Reader.ReadBoolean();
        bool keepHidden = ctx.Reader.ReadBoolean();
        var columnNames = new string[ctx.Reader.ReadInt32()];
        for (int i = 0; i < columnNames.Length; i++)
            columnNames[i] = ctx.Reader.ReadString();
        return new ColumnSelectingTransformer(env, columnNames, keep, keepHidden);
    }

    bool ITransformer.IsRowToRowMapper => true;

    IRowToRowMapper ITransformer.GetRowToRowMapper(DataViewSchema inputSchema) => MakeMapper(inputSchema);

    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema) => MakeMapper(inputSchema).OutputSchema;

    public IDataView Transform(IDataView input)
    {
        _host.CheckValue(input, nameof(input));
        return new MappedDataView(input, MakeMapper(input.Schema));
    }

    void ICanSaveModel.Save(ModelSaveContext ctx)
    {
        ctx.CheckAtModel();
        ctx.SetVersionInfo(_version);
        ctx.Writer.Write(_keep);
        ctx.Writer.Write(_keepHidden);
        ctx.Writer.Write(_columnNames.Length);
        foreach (string name in _columnNames)
            ctx.Writer.Write(name);
    }

    /// <summary>Those of <paramref name="columns"/> that are kept.</summary>
    internal IEnumerable<TColumn> Select<TColumn>(IReadOnlyCollection<TColumn> columns, Func<TColumn, string> getName)
    {
        foreach (string name in _columnNames)
        {
            if (!columns.Any(column => getName(column) == name))
                throw _host.ExceptSchemaMismatch("inputSchema", "input", name);
        }
        return _keep
            ? _columnNames.SelectMany(name => columns.Where(column => getName(column) == name))
            : columns.Where(column => !_columnNames.Contains(getName(column)));
    }

    private RowMapper MakeMapper(DataViewSchema inputSchema)
    {
        _host.CheckValue(inputSchema, nameof(inputSchema));
        var selected = Select(inputSchema, column => column.Name).Where(column => _keepHidden || !column.IsHidden);
        return new RowMapper(inputSchema, [.. selected], []);
    }
}
