using Microsoft.ML.Runtime;

namespace Microsoft.ML.Data;

/// <summary>The base of the transformers that compute each column from one other.</summary>
public abstract class OneToOneTransformerBase : RowToRowTransformerBase
{
    private protected readonly InputOutputColumnPair[] Columns;

    private protected OneToOneTransformerBase(IHost host, params InputOutputColumnPair[] columns) : base(host)
    {
        Host.CheckValue(columns, nameof(columns));
        Columns = columns;
    }

    /// <summary>What the pair of columns of that number makes of its input column.</summary>
    private protected abstract ComputedColumn Bind(int pair, DataViewSchema.Column input);

    private protected sealed override IEnumerable<ComputedColumn> Bind(DataViewSchema inputSchema) =>
        Columns.Select((columns, pair) => Bind(pair, inputSchema.GetColumn(Host, "input", columns.InputColumnName)));

    /// <summary>
    /// The column whose items are those of <paramref name="input"/>, mapped by <paramref name="map"/>, a function of one argument.
    /// </summary>
    private protected ComputedColumn MapItems(int pair, DataViewSchema.Column input, PrimitiveDataViewType itemType, Delegate map,
        DataViewSchema.Annotations.Builder annotations = null)
    {
        annotations ??= new DataViewSchema.Annotations.Builder();
        annotations.Add(input.Annotations, name => name == AnnotationUtils.Kinds.SlotNames);
        var type = input.Type is VectorDataViewType vector ? new VectorDataViewType(itemType, vector.Dimensions) : (DataViewType)itemType;
        var column = new DataViewSchema.DetachedColumn(Columns[pair].OutputColumnName, type, annotations.ToAnnotations());
        return new ComputedColumn(column, [input], row => GenericCall.Invoke<Delegate>(
            Getters.MapItems<int, int>, [input.Type.GetItemType().RawType, itemType.RawType], row, input, map));
    }
}
