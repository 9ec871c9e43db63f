using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;

[assembly: LoadableClass(typeof(HashingTransformer), typeof(HashingTransformer), null, typeof(SignatureLoadModel),
    "Hash transform", HashingTransformer.LoaderSignature)]

namespace Microsoft.ML.Transforms;

public sealed class HashingEstimator : IEstimator<HashingTransformer>
{
    private readonly IHost _host;
    private readonly InputOutputColumnPair[] _columns;
    private readonly int _numberOfBits;

    internal HashingEstimator(IHostEnvironment env, InputOutputColumnPair columns, int numberOfBits, int maximumNumberOfInverts)
    {
        _host = env.Register(nameof(HashingEstimator));
        _host.CheckUserArg(numberOfBits is >= 1 and <= 31, nameof(numberOfBits), "Must be between 1 and 31.");
        if (maximumNumberOfInverts != 0)
            throw _host.ExceptNotSupp($"{nameof(maximumNumberOfInverts)} must be 0.");
        _columns = [columns];
        _numberOfBits = numberOfBits;
    }

    public HashingTransformer Fit(IDataView input)
    {
        _host.CheckValue(input, nameof(input));
        var transformer = new HashingTransformer(_host, _columns, _numberOfBits);
        transformer.GetOutputSchema(input.Schema);
        return transformer;
    }

    public SchemaShape GetOutputSchema(SchemaShape inputSchema) => _columns.Apply(_host, inputSchema, (pair, input) =>
        new SchemaShape.Column(pair.OutputColumnName, input.Kind, NumberDataViewType.UInt32, isKey: true,
            new SchemaShape(input.Annotations.KeptByItems())));
}

/// <summary>Maps values to keys by hashing them.</summary>
public sealed class HashingTransformer : OneToOneTransformerBase
{
    internal const string LoaderSignature = "HashTransform";

    private static readonly VersionInfo _version = ModelVersions.First("HASHTRNS", LoaderSignature);

    private readonly int _numberOfBits;

    internal HashingTransformer(IHostEnvironment env, InputOutputColumnPair[] columns, int numberOfBits)
        : base(env.Register(nameof(HashingTransformer)), columns) => _numberOfBits = numberOfBits;

    private static HashingTransformer Create(IHostEnvironment env, ModelLoadContext ctx)
    {
        ctx.CheckAtModel(_version);
        return new HashingTransformer(env, ColumnPairs.Read(ctx.Reader), ctx.Reader.ReadInt32());
    }

    private protected override void SaveModel(ModelSaveContext ctx)
    {
        ctx.CheckAtModel();
        ctx.SetVersionInfo(_version);
        ColumnPairs.Write(ctx.Writer, Columns);
        ctx.Writer.Write(_numberOfBits);
    }

    private protected override ComputedColumn Bind(int pair, DataViewSchema.Column input)
    {
        var itemType = input.Type.GetItemType();
        var map = GenericCall.Invoke<Delegate>(MakeMapOrNull<int>, itemType.RawType, itemType)
            ?? throw Host.ExceptSchemaMismatch("inputSchema", "input", input.Name, "a number, key, text, Boolean or row id",
                input.Type.ToString());
        return MapItems(pair, input, new KeyDataViewType(typeof(uint), 1UL << _numberOfBits), map);
    }

    private Func<T, uint> MakeMapOrNull<T>(DataViewType itemType)
    {
        var hash = MurmurHash.GetOrNull<T>(itemType);
        uint mask = (1u << _numberOfBits) - 1;
        return hash is null ? null : value => (hash(MurmurHash.DefaultSeed, value) & mask) + 1 ?? 0;
    }
}
