using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;

[assembly: LoadableClass(typeof(TypeConvertingTransformer), typeof(TypeConvertingTransformer), null, typeof(SignatureLoadModel),
    "Convert transform", TypeConvertingTransformer.LoaderSignature)]

namespace Microsoft.ML.Transforms;

public sealed class TypeConvertingEstimator : TrivialEstimator<TypeConvertingTransformer>
{
    private readonly InputOutputColumnPair[] _columns;
    private readonly PrimitiveDataViewType _outputType;

    internal TypeConvertingEstimator(IHostEnvironment env, InputOutputColumnPair[] columns, DataKind outputKind)
        : base(env.Register(nameof(TypeConvertingEstimator)), new TypeConvertingTransformer(env, columns, outputKind))
    {
        _columns = columns;
        _outputType = PrimitiveTypes.FromKind(outputKind);
    }

    public override SchemaShape GetOutputSchema(SchemaShape inputSchema) => _columns.Apply(Host, inputSchema, (pair, input) =>
        Conversions.GetOrNull(input.ItemType.RawType, _outputType.RawType) is null
            ? throw Host.ExceptSchemaMismatch(nameof(inputSchema), "input", input.Name, $"a type that converts to {_outputType}",
                input.GetTypeString())
            : new SchemaShape.Column(pair.OutputColumnName, input.Kind, _outputType, isKey: false,
                new SchemaShape(input.Annotations.KeptByItems())));
}

/// <summary>Converts values to another type.</summary>
public sealed class TypeConvertingTransformer : OneToOneTransformerBase
{
    internal const string LoaderSignature = "ConvertTransform";

    private static readonly VersionInfo _version = ModelVersions.First("CONVERTF", LoaderSignature);

    private readonly DataKind _outputKind;

    internal TypeConvertingTransformer(IHostEnvironment env, InputOutputColumnPair[] columns, DataKind outputKind)
        : base(env.Register(nameof(TypeConvertingTransformer)), columns) => _outputKind = outputKind;

    private static TypeConvertingTransformer Create(IHostEnvironment env, ModelLoadContext ctx)
    {
        ctx.CheckAtModel(_version);
        return new TypeConvertingTransformer(env, ColumnPairs.Read(ctx.Reader), (DataKind)ctx.Reader.ReadByte());
    }

    private protected override void SaveModel(ModelSaveContext ctx)
    {
        ctx.CheckAtModel();
        ctx.SetVersionInfo(_version);
        ColumnPairs.Write(ctx.Writer, Columns);
        ctx.Writer.Write((byte)_outputKind);
    }

    private protected override ComputedColumn Bind(int pair, DataViewSchema.Column input)
    {
        var outputType = PrimitiveTypes.FromKind(_outputKind);
        var convert = Conversions.GetOrNull(input.Type.GetItemType().RawType, outputType.RawType)
            ?? throw Host.ExceptSchemaMismatch("inputSchema", "input", input.Name, $"a type that converts to {outputType}",
                input.Type.ToString());
        return MapItems(pair, input, outputType, convert);
    }
}
