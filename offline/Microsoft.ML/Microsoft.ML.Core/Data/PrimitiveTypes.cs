namespace Microsoft.ML.Data;

/// <summary>The one table of the primitive types that are not keys.</summary>
internal static class PrimitiveTypes
{
    private static readonly (DataKind Kind, PrimitiveDataViewType Type)[] _byKind =
    [
        (DataKind.SByte, NumberDataViewType.SByte),
        (DataKind.Byte, NumberDataViewType.Byte),
        (DataKind.Int16, NumberDataViewType.Int16),
        (DataKind.UInt16, NumberDataViewType.UInt16),
        (DataKind.Int32, NumberDataViewType.Int32),
        (DataKind.UInt32, NumberDataViewType.UInt32),
        (DataKind.Int64, NumberDataViewType.Int64),
        (DataKind.UInt64, NumberDataViewType.UInt64),
        (DataKind.Single, NumberDataViewType.Single),
        (DataKind.Double, NumberDataViewType.Double),
        (DataKind.String, TextDataViewType.Instance),
        (DataKind.Boolean, BooleanDataViewType.Instance),
        (DataKind.TimeSpan, TimeSpanDataViewType.Instance),
        (DataKind.DateTime, DateTimeDataViewType.Instance),
        (DataKind.DateTimeOffset, DateTimeOffsetDataViewType.Instance),
    ];

    private static readonly Dictionary<Type, PrimitiveDataViewType> _byRawType =
        _byKind.Select(entry => entry.Type).Append(RowIdDataViewType.Instance).ToDictionary(type => type.RawType);

    public static PrimitiveDataViewType FromKind(DataKind kind) => Array.Find(_byKind, entry => entry.Kind == kind).Type
        ?? throw new ArgumentOutOfRangeException(nameof(kind), kind, "There is no such kind of data.");

    /// <summary>The type whose values .NET code holds in the given type (text also in strings), or null.</summary>
    public static PrimitiveDataViewType FromClrTypeOrNull(Type type) =>
        type == typeof(string) ? TextDataViewType.Instance : _byRawType.GetValueOrDefault(type);

    public static NumberDataViewType ToNumberType(this Type rawType) => (NumberDataViewType)_byRawType[rawType];

    public static DataKind GetKind(this PrimitiveDataViewType type) =>
        Array.Find(_byKind, entry => entry.Type.RawType == type.RawType) is { Type: not null } entry
            ? entry.Kind
            : throw new ArgumentException($"{type} has no data kind.", nameof(type));

    /// <summary>The type of the items of a vector; any other type itself.</summary>
    public static DataViewType GetItemType(this DataViewType type) => type is VectorDataViewType vector ? vector.ItemType : type;
}
