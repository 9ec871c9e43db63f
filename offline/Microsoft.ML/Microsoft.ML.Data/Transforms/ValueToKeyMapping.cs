using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;

[assembly: LoadableClass(typeof(ValueToKeyMappingTransformer), typeof(ValueToKeyMappingTransformer), null, typeof(SignatureLoadModel),
    "Term transform", ValueToKeyMappingTransformer.LoaderSignature)]

namespace Microsoft.ML.Transforms;

public sealed class ValueToKeyMappingEstimator : IEstimator<ValueToKeyMappingTransformer>
{
    private readonly IHost _host;
    private readonly InputOutputColumnPair[] _columns;
    private readonly int _maximumNumberOfKeys;
    private readonly KeyOrdinality _keyOrdinality;
    private readonly bool _keyValuesAsText;
    private readonly IDataView _keyData;

    internal ValueToKeyMappingEstimator(IHostEnvironment env, InputOutputColumnPair[] columns, int maximumNumberOfKeys,
        KeyOrdinality keyOrdinality, bool addKeyValueAnnotationsAsText, IDataView keyData)
    {
        _host = env.Register(nameof(ValueToKeyMappingEstimator));
        _host.CheckValue(columns, nameof(columns));
        _host.CheckUserArg(maximumNumberOfKeys > 0, nameof(maximumNumberOfKeys), "Must be positive.");
        if (keyData is { Schema.Count: not 1 })
            throw _host.ExceptParam(nameof(keyData), "Must have exactly one column.");
        _columns = columns;
        _maximumNumberOfKeys = maximumNumberOfKeys;
        _keyOrdinality = keyOrdinality;
        _keyValuesAsText = addKeyValueAnnotationsAsText;
        _keyData = keyData;
    }

    /// <summary>Which of the values gets the first key.</summary>
    public enum KeyOrdinality : byte
    {
        ByOccurrence = 0,
        ByValue = 1,
    }

    public ValueToKeyMappingTransformer Fit(IDataView input)
    {
        _host.CheckValue(input, nameof(input));
        var columns = Array.ConvertAll(_columns, pair =>
        {
            var column = input.Schema.GetColumn(_host, "input", pair.InputColumnName);
            return column.Type.GetItemType() is PrimitiveDataViewType ? column
                : throw _host.ExceptSchemaMismatch("inputSchema", "input", column.Name, "a primitive type", column.Type.ToString());
        });
        return new ValueToKeyMappingTransformer(_host, _columns, MakeMaps(input, columns), _keyValuesAsText);
    }

    private TermMap[] MakeMaps(IDataView input, DataViewSchema.Column[] columns)
    {
        bool sort = _keyOrdinality == KeyOrdinality.ByValue;
        if (_keyData is null)
            return Terms.Collect(input, columns, _maximumNumberOfKeys, sort);
        var keyColumn = _keyData.Schema[0];
        var keyType = keyColumn.Type.GetItemType();
        foreach (var itemType in columns.Select(column => column.Type.GetItemType()))
        {
            if (keyType.RawType != itemType.RawType)
                throw _host.ExceptSchemaMismatch("keyData", "key data", keyColumn.Name, itemType.ToString(), keyType.ToString());
        }
        var map = Terms.Collect(_keyData, [keyColumn], _maximumNumberOfKeys, sort)[0];
        return Array.ConvertAll(columns, _ => map);
    }

    public SchemaShape GetOutputSchema(SchemaShape inputSchema) => _columns.Apply(_host, inputSchema, (pair, input) =>
        new SchemaShape.Column(pair.OutputColumnName, input.Kind, NumberDataViewType.UInt32, isKey: true, new SchemaShape(
            input.Annotations.KeptByItems()
                .Append(AnnotationUtils.KeyValuesShape(_keyValuesAsText ? TextDataViewType.Instance : input.ItemType)))));
}

/// <summary>Maps values to keys.</summary>
public sealed class ValueToKeyMappingTransformer : OneToOneTransformerBase
{
    internal const string LoaderSignature = "TermTransform";

    private static readonly VersionInfo _version = ModelVersions.First("TERMTRAN", LoaderSignature);

    private readonly TermMap[] _maps;
    private readonly bool _keyValuesAsText;

    internal ValueToKeyMappingTransformer(IHostEnvironment env, InputOutputColumnPair[] columns, TermMap[] maps, bool keyValuesAsText)
        : base(env.Register(nameof(ValueToKeyMappingTransformer)), columns)
    {
        _maps = maps;
        _keyValuesAsText = keyValuesAsText;
    }

    private static ValueToKeyMappingTransformer Create(IHostEnvironment env, ModelLoadContext ctx)
    {
        ctx.CheckAtModel(_version);
        var columns = ColumnPairs.Read(ctx.Reader);
        bool keyValuesAsText = ctx.Reader.ReadBoolean();
        return new ValueToKeyMappingTransformer(env, columns, Array.ConvertAll(columns, _ => TermMap.Load(ctx.Reader)), keyValuesAsText);
    }

    private protected override void SaveModel(ModelSaveContext ctx)
    {
        ctx.CheckAtModel();
        ctx.SetVersionInfo(_version);
        ColumnPairs.Write(ctx.Writer, Columns);
        ctx.Writer.Write(_keyValuesAsText);
        foreach (var map in _maps)
            map.Save(ctx.Writer);
    }

    private protected override ComputedColumn Bind(int pair, DataViewSchema.Column input)
    {
        var map = _maps[pair];
        if (!input.Type.GetItemType().Equals(map.ItemType))
            throw Host.ExceptSchemaMismatch("inputSchema", "input", input.Name, map.ItemType.ToString(), input.Type.ToString());
        var annotations = new DataViewSchema.Annotations.Builder();
        map.AddKeyValues(annotations, _keyValuesAsText);
        return MapItems(pair, input, map.KeyType, map.Map, annotations);
    }
}
