using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;

[assembly: LoadableClass(typeof(ColumnConcatenatingTransformer), typeof(ColumnConcatenatingTransformer), null, typeof(SignatureLoadModel),
    "Concat columns", ColumnConcatenatingTransformer.LoaderSignature)]

namespace Microsoft.ML.Transforms
{
    public sealed class ColumnConcatenatingEstimator : IEstimator<ColumnConcatenatingTransformer>
    {
        private readonly IHost _host;
        private readonly string _outputColumnName;
        private readonly string[] _inputColumnNames;

        internal ColumnConcatenatingEstimator(IHostEnvironment env, string outputColumnName, params string[] inputColumnNames)
        {
            _host = env.Register(nameof(ColumnConcatenatingEstimator));
            _host.CheckNonEmpty(outputColumnName, nameof(outputColumnName));
            _host.CheckValue(inputColumnNames, nameof(inputColumnNames));
            _host.CheckUserArg(inputColumnNames.Length > 0, nameof(inputColumnNames), "At least one input column is needed.");
            _outputColumnName = outputColumnName;
            _inputColumnNames = inputColumnNames;
        }

        public ColumnConcatenatingTransformer Fit(IDataView input)
        {
            _host.CheckValue(input, nameof(input));
            var transformer = new ColumnConcatenatingTransformer(_host, _outputColumnName, _inputColumnNames);
            transformer.GetOutputSchema(input.Schema);
            return transformer;
        }

        public SchemaShape GetOutputSchema(SchemaShape inputSchema)
        {
            _host.CheckValue(inputSchema, nameof(inputSchema));
            var inputs = Array.ConvertAll(_inputColumnNames, name => inputSchema.GetColumn(_host, "input", name));
            foreach (var input in inputs)
            {
                if (!input.ItemType.Equals(inputs[0].ItemType) || input.IsKey != inputs[0].IsKey)
                {
                    var expected = new SchemaShape.Column(input.Name, input.Kind, inputs[0].ItemType, inputs[0].IsKey);
                    throw _host.ExceptSchemaMismatch(nameof(inputSchema), "input", input.Name,
                        expected.GetTypeString(), input.GetTypeString());
                }
            }
            var kind = inputs.Any(input => input.Kind == SchemaShape.Column.VectorKind.VariableVector)
                ? SchemaShape.Column.VectorKind.VariableVector
                : SchemaShape.Column.VectorKind.Vector;
            return inputSchema.With(new SchemaShape.Column(_outputColumnName, kind, inputs[0].ItemType, inputs[0].IsKey));
        }
    }
}

namespace Microsoft.ML.Data
{
    /// <summary>Adds a vector of the values of several columns, scalars and vectors, one after the other.</summary>
    public sealed class ColumnConcatenatingTransformer : RowToRowTransformerBase
    {
        internal const string LoaderSignature = "ConcatTransform";

        private static readonly VersionInfo _version = ModelVersions.First("CONCAT F", LoaderSignature);

        private readonly string _outputColumnName;
        private readonly string[] _inputColumnNames;

        internal ColumnConcatenatingTransformer(IHostEnvironment env, string outputColumnName, string[] inputColumnNames)
            : base(env.Register(nameof(ColumnConcatenatingTransformer)))
        {
            _outputColumnName = outputColumnName;
            _inputColumnNames = inputColumnNames;
        }

        private static ColumnConcatenatingTransformer Create(IHostEnvironment env, ModelLoadContext ctx)
        {
            ctx.CheckAtModel(_version);
            string outputColumnName = ctx.Reader.ReadString();
            var inputColumnNames = new string[ctx.Reader.ReadInt32()];
            for (int i = 0; i < inputColumnNames.Length; i++)
                inputColumnNames[i] = ctx.Reader.ReadString();
            return new ColumnConcatenatingTransformer(env, outputColumnName, inputColumnNames);
        }

        private protected override void SaveModel(ModelSaveContext ctx)
        {
            ctx.CheckAtModel();
            ctx.SetVersionInfo(_version);
            ctx.Writer.Write(_outputColumnName);
            ctx.Writer.Write(_inputColumnNames.Length);
            foreach (string name in _inputColumnNames)
                ctx.Writer.Write(name);
        }

        private protected override IEnumerable<ComputedColumn> Bind(DataViewSchema inputSchema)
        {
            var inputs = Array.ConvertAll(_inputColumnNames, name => inputSchema.GetColumn(Host, "input", name));
            var itemType = inputs[0].Type.GetItemType() as PrimitiveDataViewType
                ?? throw Host.ExceptSchemaMismatch(nameof(inputSchema), "input", inputs[0].Name, "a primitive type",
                    inputs[0].Type.ToString());
            foreach (var input in inputs)
            {
                if (input.Type.GetItemType() is var other && !other.Equals(itemType))
                    throw Host.ExceptSchemaMismatch(nameof(inputSchema), "input", input.Name, itemType.ToString(), other.ToString());
            }
            bool isKnownSize = inputs.All(input => input.Type is not VectorDataViewType { IsKnownSize: false });
            var type = new VectorDataViewType(itemType, isKnownSize ? inputs.Sum(Size) : 0);
            var annotations = new DataViewSchema.Annotations.Builder();
            if (isKnownSize && inputs.Any(input => input.Type is not VectorDataViewType || input.HasSlotNames()))
            {
                annotations.Add(AnnotationUtils.Kinds.SlotNames, new VectorDataViewType(TextDataViewType.Instance, type.Size),
                    Getters.Constant(inputs.SelectMany(SlotNames).ToArray()));
            }
            yield return new ComputedColumn(new DataViewSchema.DetachedColumn(_outputColumnName, type, annotations.ToAnnotations()), inputs,
                row => GenericCall.Invoke<Delegate>(MakeGetter<int>, itemType.RawType, row, inputs));
        }

        private static int Size(DataViewSchema.Column input) => input.Type is VectorDataViewType vector ? vector.Size : 1;

        /// <summary>A scalar's slot has the name of its column, a vector's the name of the column and its own, if it has one.</summary>
        private static IEnumerable<ReadOnlyMemory<char>> SlotNames(DataViewSchema.Column input)
        {
            if (input.Type is not VectorDataViewType vector)
                return [input.Name.AsMemory()];
            if (!input.HasSlotNames())
                return Enumerable.Repeat(ReadOnlyMemory<char>.Empty, vector.Size);
            VBuffer<ReadOnlyMemory<char>> names = default;
            input.GetSlotNames(ref names);
            return names.DenseValues().Select(name => name.IsEmpty ? name : $"{input.Name}.{name}".AsMemory()).ToArray();
        }

        private static ValueGetter<VBuffer<T>> MakeGetter<T>(DataViewRow row, DataViewSchema.Column[] inputs)
        {
            var parts = new VBuffer<T>[inputs.Length];
            var getters = inputs.Select((input, i) => MakePartGetter(row, input, parts, i)).ToArray();
            return (ref VBuffer<T> value) =>
            {
                int length = 0;
                for (int i = 0; i < getters.Length; i++)
                {
                    getters[i]();
                    length += parts[i].Length;
                }
                var editor = VBufferEditor.Create(ref value, length);
                int offset = 0;
                foreach (var part in parts)
                {
                    part.CopyTo(editor.Values, offset);
                    offset += part.Length;
                }
                value = editor.Commit();
            };
        }

        private static Action MakePartGetter<T>(DataViewRow row, DataViewSchema.Column input, VBuffer<T>[] parts, int index)
        {
            if (input.Type is VectorDataViewType)
            {
                var getVector = row.GetGetter<VBuffer<T>>(input);
                return () => getVector(ref parts[index]);
            }
            var getScalar = row.GetGetter<T>(input);
            var scalar = new T[1];
            parts[index] = new VBuffer<T>(1, scalar);
            return () => getScalar(ref scalar[0]);
        }
    }
}
