using System.Buffers;
using System.Numerics;
using System.Text;

namespace Microsoft.ML.Data;

/// <summary>The 32-bit MurmurHash3 of values, as keys. Missing values have the key 0.</summary>
internal static class MurmurHash
{
    /// <summary>Where hashing starts unless it is told otherwise.</summary>
    public const uint DefaultSeed = 314489979;

    /// <summary>Combines a hash with four more bytes.</summary>
    public static uint Round(uint hash, uint chunk) => BitOperations.RotateLeft(hash ^ Scramble(chunk), 13) * 5 + 0xE6546B64;

    /// <summary>Completes the hash of <paramref name="length"/> bytes.</summary>
    public static uint Finish(uint hash, int length)
    {
        hash ^= (uint)length;
        hash = (hash ^ (hash >> 16)) * 0x85ebca6b;
        hash = (hash ^ (hash >> 13)) * 0xc2b2ae35;
        return hash ^ (hash >> 16);
    }

    /// <summary>The function from values of a type to their hashes with a seed; null stands for missing.</summary>
    public static Func<uint, T, uint?> GetOrNull<T>(DataViewType type)
    {
        bool isKey = type is KeyDataViewType;
        return (Func<uint, T, uint?>)(Delegate)(default(T) switch
        {
            bool => uint? (uint seed, bool value) => Hash(seed, value ? 1u : 0u),
            sbyte => uint? (uint seed, sbyte value) => Hash(seed, (uint)value),
            short => uint? (uint seed, short value) => Hash(seed, (uint)value),
            int => uint? (uint seed, int value) => Hash(seed, (uint)value),
            byte => uint? (uint seed, byte value) => isKey && value == 0 ? null : Hash(seed, (uint)value),
            ushort => uint? (uint seed, ushort value) => isKey && value == 0 ? null : Hash(seed, (uint)value),
            uint => uint? (uint seed, uint value) => isKey && value == 0 ? null : Hash(seed, value),
            long => uint? (uint seed, long value) => Hash(seed, (ulong)value),
            ulong => uint? (uint seed, ulong value) => isKey && value == 0 ? null : Hash(seed, value),
            float => uint? (uint seed, float value) =>
                float.IsNaN(value) ? null : Hash(seed, BitConverter.SingleToUInt32Bits(value == 0 ? 0 : value)),
            double => uint? (uint seed, double value) =>
                double.IsNaN(value) ? null : Hash(seed, BitConverter.DoubleToUInt64Bits(value == 0 ? 0 : value)),
            ReadOnlyMemory<char> => uint? (uint seed, ReadOnlyMemory<char> value) => value.IsEmpty ? null : Hash(seed, value.Span),
            DataViewRowId => uint? (uint seed, DataViewRowId value) => Hash(seed, value),
            _ => null,
        });
    }

    private static uint Scramble(uint chunk) => BitOperations.RotateLeft(chunk * 0xCC9E2D51, 15) * 0x1B873593;

    private static uint Hash(uint seed, uint value) => Finish(Round(seed, value), sizeof(uint));

    private static uint Hash(uint seed, ulong value) => Finish(Round(seed, value), sizeof(ulong));

    /// <summary>Row ids, unlike numbers, hash without their higher parts where these are zero.</summary>
    private static uint Hash(uint seed, DataViewRowId value)
    {
        uint hash = Round(seed, (uint)value.Low);
        foreach (uint chunk in (ReadOnlySpan<uint>)[(uint)(value.Low >> 32), (uint)value.High, (uint)(value.High >> 32)])
            hash = chunk == 0 ? hash : Round(hash, chunk);
        return Finish(hash, 2 * sizeof(ulong));
    }

    private static uint Round(uint hash, ulong chunk) => Round(Round(hash, (uint)chunk), (uint)(chunk >> 32));

    private static uint Hash(uint seed, ReadOnlySpan<char> text)
    {
        byte[] rented = null;
        int capacity = Encoding.UTF8.GetMaxByteCount(text.Length);
        Span<byte> buffer = capacity <= 512 ? stackalloc byte[512] : rented = ArrayPool<byte>.Shared.Rent(capacity);
        var bytes = buffer[..Encoding.UTF8.GetBytes(text, buffer)];
        uint hash = seed;
        int i = 0;
        for (; i + sizeof(uint) <= bytes.Length; i += sizeof(uint))
            hash = Round(hash, BitConverter.ToUInt32(bytes[i..]));
        uint tail = 0;
        for (int shift = 0; i < bytes.Length; i++, shift += 8)
            tail |= (uint)bytes[i] << shift;
        hash = Finish(hash ^ Scramble(tail), bytes.Length);
        if (rented is not null)
            ArrayPool<byte>.Shared.Return(rented);
        return hash;
    }
}
