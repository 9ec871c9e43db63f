using Microsoft.ML.Runtime;

namespace Microsoft.ML.Data;

/// <summary>Pairs of columns in estimators and in model files.</summary>
internal static class ColumnPairs
{
    public static void Write(BinaryWriter writer, InputOutputColumnPair[] columns)
    {
        writer.Write(columns.Length);
        foreach (var pair in columns)
        {
            writer.Write(pair.OutputColumnName);
            writer.Write(pair.InputColumnName);
        }
    }

    public static InputOutputColumnPair[] Read(BinaryReader reader)
    {
        var columns = new InputOutputColumnPair[reader.ReadInt32()];
        for (int i = 0; i < columns.Length; i++)
            columns[i] = new InputOutputColumnPair(reader.ReadString(), reader.ReadString());
        return columns;
    }

    /// <summary>The shape of <paramref name="inputSchema"/> with the column that each pair makes of its input.</summary>
    public static SchemaShape Apply(this InputOutputColumnPair[] columns, IHost host, SchemaShape inputSchema,
        Func<InputOutputColumnPair, SchemaShape.Column, SchemaShape.Column> map)
    {
        host.CheckValue(inputSchema, nameof(inputSchema));
        return inputSchema.With(columns.Select(pair => map(pair, inputSchema.GetColumn(host, "input", pair.InputColumnName))));
    }

    /// <summary>Those annotations of a column's shape that its items keep when each is mapped.</summary>
    public static IEnumerable<SchemaShape.Column> KeptByItems(this SchemaShape annotations) =>
        annotations.Where(annotation => annotation.Name == AnnotationUtils.Kinds.SlotNames);
}
