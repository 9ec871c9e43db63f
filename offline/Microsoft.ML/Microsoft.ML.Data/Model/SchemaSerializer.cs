using Microsoft.ML.Runtime;

namespace Microsoft.ML.Data;

/// <summary>Writes and reads the schema that a model file keeps: its visible columns, with annotations.</summary>
internal static class SchemaSerializer
{
    public static void WriteSchema(this BinaryWriter writer, DataViewSchema schema)
    {
        var columns = schema.Where(column => !column.IsHidden).ToArray();
        writer.Write(columns.Length);
        foreach (var column in columns)
        {
            writer.Write(column.Name);
            writer.WriteType(column.Type);
            writer.Write(column.Annotations.Schema.Count);
            foreach (var annotation in column.Annotations.Schema)
            {
                writer.Write(annotation.Name);
                writer.WriteType(annotation.Type);
                Delegate write = annotation.Type is VectorDataViewType ? WriteVector<int> : WriteScalar<int>;
                GenericCall.Invoke<object>(write, annotation.Type.GetItemType().RawType, writer, column.Annotations, annotation.Name);
            }
        }
    }

    public static DataViewSchema ReadSchema(this BinaryReader reader)
    {
        var builder = new DataViewSchema.Builder();
        int columnCount = reader.ReadInt32();
        for (int i = 0; i < columnCount; i++)
        {
            string name = reader.ReadString();
            var type = reader.ReadType();
            var annotations = new DataViewSchema.Annotations.Builder();
            int annotationCount = reader.ReadInt32();
            for (int j = 0; j < annotationCount; j++)
            {
                string kind = reader.ReadString();
                var annotationType = reader.ReadType();
                Delegate read = annotationType is VectorDataViewType ? ReadVector<int> : ReadScalar<int>;
                annotations.Add(kind, annotationType, GenericCall.Invoke<Delegate>(read, annotationType.GetItemType().RawType, reader));
            }
            builder.AddColumn(name, type, annotations.ToAnnotations());
        }
        return builder.ToSchema();
    }

    private static void WriteScalar<T>(BinaryWriter writer, DataViewSchema.Annotations annotations, string kind)
    {
        T value = default;
        annotations.GetValue(kind, ref value);
        writer.WriteValues<T>([value]);
    }

    private static void WriteVector<T>(BinaryWriter writer, DataViewSchema.Annotations annotations, string kind)
    {
        VBuffer<T> value = default;
        annotations.GetValue(kind, ref value);
        writer.WriteValues<T>([.. value.DenseValues()]);
    }

    private static ValueGetter<T> ReadScalar<T>(BinaryReader reader)
    {
        var values = reader.ReadValues<T>();
        Contracts.CheckDecode(null, values.Length == 1, "Corrupt model file: an annotation has no value");
        return (ref T value) => value = values[0];
    }

    private static ValueGetter<VBuffer<T>> ReadVector<T>(BinaryReader reader) => Getters.Constant(reader.ReadValues<T>());
}
