using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;

[assembly: LoadableClass(typeof(ColumnCopyingTransformer), typeof(ColumnCopyingTransformer), null, typeof(SignatureLoadModel),
    "Copy columns", ColumnCopyingTransformer.LoaderSignature)]

namespace Microsoft.ML.Transforms;

public sealed class ColumnCopyingEstimator : TrivialEstimator<ColumnCopyingTransformer>
{
    private readonly InputOutputColumnPair[] _columns;

    internal ColumnCopyingEstimator(IHostEnvironment env, params InputOutputColumnPair[] columns)
        : base(env.Register(nameof(ColumnCopyingEstimator)), new ColumnCopyingTransformer(env, columns)) => _columns = columns;

    public override SchemaShape GetOutputSchema(SchemaShape inputSchema) => _columns.Apply(Host, inputSchema, (pair, input) =>
        new SchemaShape.Column(pair.OutputColumnName, input.Kind, input.ItemType, input.IsKey, input.Annotations));
}

/// <summary>Adds columns that are other columns under new names.</summary>
public sealed class ColumnCopyingTransformer : OneToOneTransformerBase
{
    internal const string LoaderSignature = "CopyTransform";

    private static readonly VersionInfo _version = ModelVersions.First("COPYCOLT", LoaderSignature);

    internal ColumnCopyingTransformer(IHostEnvironment env, params InputOutputColumnPair[] columns)
        : base(env.Register(nameof(ColumnCopyingTransformer)), columns)
    {
    }

    private static ColumnCopyingTransformer Create(IHostEnvironment env, ModelLoadContext ctx)
    {
        ctx.CheckAtModel(_version);
        return new ColumnCopyingTransformer(env, ColumnPairs.Read(ctx.Reader));
    }

    private protected override void SaveModel(ModelSaveContext ctx)
    {
        ctx.CheckAtModel();
        ctx.SetVersionInfo(_version);
        ColumnPairs.Write(ctx.Writer, Columns);
    }

    private protected override ComputedColumn Bind(int pair, DataViewSchema.Column input) => new(
        new DataViewSchema.DetachedColumn(Columns[pair].OutputColumnName, input.Type, input.Annotations),
        [input],
        row => GenericCall.Invoke<Delegate>(GetGetter<int>, input.Type.RawType, row, input));

    private static ValueGetter<T> GetGetter<T>(DataViewRow row, DataViewSchema.Column input) => row.GetGetter<T>(input);
}
