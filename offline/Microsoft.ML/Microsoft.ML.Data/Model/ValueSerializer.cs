using Microsoft.ML.Runtime;

namespace Microsoft.ML.Data;

/// <summary>Writes and reads types, and values of any type, in model files.</summary>
internal static class ValueSerializer
{
    private const byte KeyMark = 0x20;
    private const byte RowIdMark = 0x40;
    private const byte VectorMark = 0x80;

    public static void WriteType(this BinaryWriter writer, DataViewType type)
    {
        switch (type)
        {
            case VectorDataViewType vector:
                writer.Write(VectorMark);
                writer.Write(vector.Dimensions.Length);
                foreach (int dimension in vector.Dimensions)
                    writer.Write(dimension);
                writer.WriteType(vector.ItemType);
                break;
            case KeyDataViewType key:
                writer.Write((byte)(KeyMark | (byte)key.GetKind()));
                writer.Write(key.Count);
                break;
            case RowIdDataViewType:
                writer.Write(RowIdMark);
                break;
            default:
                writer.Write((byte)((PrimitiveDataViewType)type).GetKind());
                break;
        }
    }

    public static DataViewType ReadType(this BinaryReader reader)
    {
        byte mark = reader.ReadByte();
        if (mark == VectorMark)
        {
            var dimensions = new int[reader.ReadInt32()];
            for (int i = 0; i < dimensions.Length; i++)
                dimensions[i] = reader.ReadInt32();
            return new VectorDataViewType((PrimitiveDataViewType)reader.ReadType(), dimensions);
        }
        if (mark == RowIdMark)
            return RowIdDataViewType.Instance;
        var type = PrimitiveTypes.FromKind((DataKind)(mark & ~KeyMark));
        return (mark & KeyMark) == 0 ? type : new KeyDataViewType(type.RawType, reader.ReadUInt64());
    }

    /// <summary>What writes values of a raw type other than vectors.</summary>
    private static Action<BinaryWriter, T> GetWriter<T>() => (Action<BinaryWriter, T>)(Delegate)(default(T) switch
    {
        sbyte => (BinaryWriter writer, sbyte value) => writer.Write(value),
        byte => (BinaryWriter writer, byte value) => writer.Write(value),
        short => (BinaryWriter writer, short value) => writer.Write(value),
        ushort => (BinaryWriter writer, ushort value) => writer.Write(value),
        int => (BinaryWriter writer, int value) => writer.Write(value),
        uint => (BinaryWriter writer, uint value) => writer.Write(value),
        long => (BinaryWriter writer, long value) => writer.Write(value),
        ulong => (BinaryWriter writer, ulong value) => writer.Write(value),
        float => (BinaryWriter writer, float value) => writer.Write(value),
        double => (BinaryWriter writer, double value) => writer.Write(value),
        bool => (BinaryWriter writer, bool value) => writer.Write(value),
        ReadOnlyMemory<char> => (BinaryWriter writer, ReadOnlyMemory<char> value) => writer.Write(value.ToString()),
        TimeSpan => (BinaryWriter writer, TimeSpan value) => writer.Write(value.Ticks),
        DateTime => (BinaryWriter writer, DateTime value) => writer.Write(value.ToBinary()),
        DateTimeOffset => (BinaryWriter writer, DateTimeOffset value) =>
        {
            writer.Write(value.Ticks);
            writer.Write(value.Offset.Ticks);
        },
        DataViewRowId => (BinaryWriter writer, DataViewRowId value) =>
        {
            writer.Write(value.Low);
            writer.Write(value.High);
        },
        _ => throw new NotSupportedException($"Values of type {typeof(T)} cannot be saved."),
    });

    /// <summary>What reads values of a raw type other than vectors.</summary>
    private static Func<BinaryReader, T> GetReader<T>() => (Func<BinaryReader, T>)(Delegate)(default(T) switch
    {
        sbyte => (BinaryReader reader) => reader.ReadSByte(),
        byte => (BinaryReader reader) => reader.ReadByte(),
        short => (BinaryReader reader) => reader.ReadInt16(),
        ushort => (BinaryReader reader) => reader.ReadUInt16(),
        int => (BinaryReader reader) => reader.ReadInt32(),
        uint => (BinaryReader reader) => reader.ReadUInt32(),
        long => (BinaryReader reader) => reader.ReadInt64(),
        ulong => (BinaryReader reader) => reader.ReadUInt64(),
        float => (BinaryReader reader) => reader.ReadSingle(),
        double => (BinaryReader reader) => reader.ReadDouble(),
        bool => (BinaryReader reader) => reader.ReadBoolean(),
        ReadOnlyMemory<char> => (BinaryReader reader) => reader.ReadString().AsMemory(),
        TimeSpan => (BinaryReader reader) => new TimeSpan(reader.ReadInt64()),
        DateTime => (BinaryReader reader) => DateTime.FromBinary(reader.ReadInt64()),
        DateTimeOffset => (BinaryReader reader) => new DateTimeOffset(reader.ReadInt64(), new TimeSpan(reader.ReadInt64())),
        DataViewRowId => (BinaryReader reader) => new DataViewRowId(reader.ReadUInt64(), reader.ReadUInt64()),
        _ => throw new NotSupportedException($"Values of type {typeof(T)} cannot be loaded."),
    });

    public static void WriteValues<T>(this BinaryWriter writer, ReadOnlySpan<T> values)
    {
        var write = GetWriter<T>();
        writer.Write(values.Length);
        foreach (var value in values)
            write(writer, value);
    }

    public static T[] ReadValues<T>(this BinaryReader reader)
    {
        var read = GetReader<T>();
        int count = reader.ReadInt32();
        if (count < 0 || count > reader.BaseStream.Length - reader.BaseStream.Position)
            throw Contracts.ExceptDecode("Corrupt model file: a count of values is {0}", count);
        var values = new T[count];
        for (int i = 0; i < count; i++)
            values[i] = read(reader);
        return values;
    }
}
