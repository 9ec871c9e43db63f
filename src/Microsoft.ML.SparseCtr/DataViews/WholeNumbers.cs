using System.Numerics;
using Microsoft.ML.Data;

namespace Microsoft.ML.SparseCtr;

/// <summary>What is done alike for each type of whole number.</summary>
internal interface IWholeNumberFunction<out TResult>
{
    TResult Of<T>() where T : unmanaged, IBinaryInteger<T>;
}

/// <summary>The whole numbers among ML.NET's types, which also hold its keys.</summary>
internal static class WholeNumbers
{
    private static readonly NumberDataViewType[] s_types =
    [
        NumberDataViewType.Byte, NumberDataViewType.SByte, NumberDataViewType.UInt16, NumberDataViewType.Int16,
        NumberDataViewType.UInt32, NumberDataViewType.Int32, NumberDataViewType.UInt64, NumberDataViewType.Int64,
    ];

    public static bool Include(DataViewType type) => s_types.Contains(type);

    public static NumberDataViewType TypeOf<T>() => s_types.Single(type => type.RawType == typeof(T));

    /// <summary>The type by the name of its .NET type, such as "Int32"; null where there is none.</summary>
    public static NumberDataViewType? ByName(string name) => s_types.FirstOrDefault(type => type.RawType.Name == name);

    public static TResult Dispatch<TResult>(Type raw, IWholeNumberFunction<TResult> function)
        => raw == typeof(byte) ? function.Of<byte>()
            : raw == typeof(sbyte) ? function.Of<sbyte>()
            : raw == typeof(ushort) ? function.Of<ushort>()
            : raw == typeof(short) ? function.Of<short>()
            : raw == typeof(uint) ? function.Of<uint>()
            : raw == typeof(int) ? function.Of<int>()
            : raw == typeof(ulong) ? function.Of<ulong>()
            : raw == typeof(long) ? function.Of<long>()
            : throw new InvalidOperationException($"{raw} is no whole number.");

    /// <summary>Reads a scalar column of whole numbers or keys; of UInt64, values beyond Int64 become negative, each another.</summary>
    public static Func<long> Reader(DataViewRow row, DataViewSchema.Column column)
        => Dispatch(column.Type.RawType, new MakeReader(row, column));

    private sealed record MakeReader(DataViewRow Row, DataViewSchema.Column Column) : IWholeNumberFunction<Func<long>>
    {
        public Func<long> Of<T>() where T : unmanaged, IBinaryInteger<T>
        {
            ValueGetter<T> getter = Row.GetGetter<T>(Column);
            T value = default;
            return () =>
            {
                getter(ref value);
                return long.CreateTruncating(value);
            };
        }
    }
}
