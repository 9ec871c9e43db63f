using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;

[assembly: LoadableClass(typeof(KeyToValueMappingTransformer), typeof(KeyToValueMappingTransformer), null, typeof(SignatureLoadModel),
    "Key to value transform", KeyToValueMappingTransformer.LoaderSignature)]

namespace Microsoft.ML.Transforms;

public sealed class KeyToValueMappingEstimator : TrivialEstimator<KeyToValueMappingTransformer>
{
    private readonly InputOutputColumnPair[] _columns;

    internal KeyToValueMappingEstimator(IHostEnvironment env, params InputOutputColumnPair[] columns)
        : base(env.Register(nameof(KeyToValueMappingEstimator)), new KeyToValueMappingTransformer(env, columns)) => _columns = columns;

    public override SchemaShape GetOutputSchema(SchemaShape inputSchema) => _columns.Apply(Host, inputSchema, (pair, input) =>
    {
        if (!input.IsKey)
            throw Host.ExceptSchemaMismatch(nameof(inputSchema), "input", input.Name, "key type", input.GetTypeString());
        if (!input.Annotations.TryFindColumn(AnnotationUtils.Kinds.KeyValues, out var values))
            throw Host.ExceptParam(nameof(inputSchema), $"Input column '{input.Name}' doesn't contain key values metadata");
        return new SchemaShape.Column(pair.OutputColumnName, input.Kind, values.ItemType, values.IsKey,
            new SchemaShape(input.Annotations.KeptByItems()));
    });
}

/// <summary>Maps keys to the values in their column's annotations; the key 0 to the missing value, or else to the default value.</summary>
public sealed class KeyToValueMappingTransformer : OneToOneTransformerBase
{
    internal const string LoaderSignature = "KeyToValueTransform";

    private static readonly VersionInfo _version = ModelVersions.First("KEY2VALT", LoaderSignature);

    internal KeyToValueMappingTransformer(IHostEnvironment env, params InputOutputColumnPair[] columns)
        : base(env.Register(nameof(KeyToValueMappingTransformer)), columns)
    {
    }

    private static KeyToValueMappingTransformer Create(IHostEnvironment env, ModelLoadContext ctx)
    {
        ctx.CheckAtModel(_version);
        return new KeyToValueMappingTransformer(env, ColumnPairs.Read(ctx.Reader));
    }

    private protected override void SaveModel(ModelSaveContext ctx)
    {
        ctx.CheckAtModel();
        ctx.SetVersionInfo(_version);
        ColumnPairs.Write(ctx.Writer, Columns);
    }

    private protected override ComputedColumn Bind(int pair, DataViewSchema.Column input)
    {
        if (input.Type.GetItemType() is not KeyDataViewType key)
            throw Host.ExceptSchemaMismatch("inputSchema", "input", input.Name, "key type", input.Type.ToString());
        if (input.Annotations.Schema.GetColumnOrNull(AnnotationUtils.Kinds.KeyValues)?.Type is not VectorDataViewType values)
            throw Host.ExceptParam("inputSchema", $"Input column '{input.Name}' doesn't contain key values metadata");
        var map = GenericCall.Invoke<Delegate>(MakeMap<uint, int>, [key.RawType, values.ItemType.RawType], input);
        return MapItems(pair, input, values.ItemType, map);
    }

    private static Func<TKey, TValue> MakeMap<TKey, TValue>(DataViewSchema.Column input)
    {
        VBuffer<TValue> annotation = default;
        input.GetKeyValues(ref annotation);
        TValue[] values = [.. annotation.DenseValues()];
        var missing = default(TValue) switch
        {
            float => (TValue)(object)float.NaN,
            double => (TValue)(object)double.NaN,
            var other => other,
        };
        var toNumber = Conversions.GetOrNull<TKey, ulong>();
        return key => toNumber(key) is var number && number - 1 < (ulong)values.Length ? values[number - 1] : missing;
    }
}
