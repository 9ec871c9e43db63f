using System.Numerics;
using Microsoft.ML.Data;

namespace Microsoft.ML.SparseCtr;

/// <summary>What is done alike for each type of number.</summary>
internal interface INumberFunction<out TResult>
{
    TResult Of<T>() where T : unmanaged, INumber<T>;
}

/// <summary>
/// ML.NET's types of numbers, of which the unsigned whole ones also hold its keys. A value of any of them has an Int64 of its own, so that
/// ids can be compared whatever type holds them: a whole number itself (UInt64 beyond Int64 becomes negative), a real one the bits of its
/// Double.
/// </summary>
internal static class NumberTypes
{
    private static readonly NumberDataViewType[] s_whole =
    [
        NumberDataViewType.Byte, NumberDataViewType.SByte, NumberDataViewType.UInt16, NumberDataViewType.Int16,
        NumberDataViewType.UInt32, NumberDataViewType.Int32, NumberDataViewType.UInt64, NumberDataViewType.Int64,
    ];

    private static readonly NumberDataViewType[] s_real = [NumberDataViewType.Single, NumberDataViewType.Double];

    public static bool IsWhole(DataViewType type) => s_whole.Contains(type);

    public static bool IsReal(DataViewType type) => s_real.Contains(type);

    public static NumberDataViewType Of<T>() => s_whole.Concat(s_real).Single(type => type.RawType == typeof(T));

    /// <summary>The type by the name of its .NET type, such as "Int32"; null where there is none.</summary>
    public static NumberDataViewType? ByName(string name) => s_whole.Concat(s_real).FirstOrDefault(type => type.RawType.Name == name);

    public static TResult Dispatch<TResult>(Type raw, INumberFunction<TResult> function)
        => raw == typeof(byte) ? function.Of<byte>()
            : raw == typeof(sbyte) ? function.Of<sbyte>()
            : raw == typeof(ushort) ? function.Of<ushort>()
            : raw == typeof(short) ? function.Of<short>()
            : raw == typeof(uint) ? function.Of<uint>()
            : raw == typeof(int) ? function.Of<int>()
            : raw == typeof(ulong) ? function.Of<ulong>()
            : raw == typeof(long) ? function.Of<long>()
            : raw == typeof(float) ? function.Of<float>()
            : raw == typeof(double) ? function.Of<double>()
            : throw new InvalidOperationException($"{raw} is no number.");

    /// <summary>The Int64 that stands for a value.</summary>
    public static long ToInt64<T>(T value) where T : unmanaged, INumber<T>
        => IsReal<T>() ? BitConverter.DoubleToInt64Bits(double.CreateTruncating(value)) : long.CreateTruncating(value);

    /// <summary>The value that an Int64 stands for.</summary>
    public static T FromInt64<T>(long value) where T : unmanaged, INumber<T>
        => IsReal<T>() ? T.CreateTruncating(BitConverter.Int64BitsToDouble(value)) : T.CreateTruncating(value);

    /// <summary>Reads a scalar column of numbers or keys as the Int64 that stands for each value.</summary>
    public static Func<long> Reader(DataViewRow row, DataViewSchema.Column column) => Dispatch(column.Type.RawType, new MakeReader(row, column));

    private static bool IsReal<T>() => typeof(T) == typeof(float) || typeof(T) == typeof(double);

    private sealed record MakeReader(DataViewRow Row, DataViewSchema.Column Column) : INumberFunction<Func<long>>
    {
        public Func<long> Of<T>() where T : unmanaged, INumber<T>
        {
            ValueGetter<T> getter = Row.GetGetter<T>(Column);
            T value = default;
            return () =>
            {
                getter(ref value);
                return ToInt64(value);
            };
        }
    }
}
