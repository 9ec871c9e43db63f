using System.Numerics;

namespace Microsoft.ML.Data;

/// <summary>A 128-bit row id. New ids are derived from old ones with the rounds of the 128-bit MurmurHash3.</summary>
public readonly struct DataViewRowId : IComparable<DataViewRowId>, IEquatable<DataViewRowId>
{
    private const ulong C1 = 0x87c37b91114253d5;
    private const ulong C2 = 0x4cf5ad432745937f;

    public readonly ulong Low;
    public readonly ulong High;

    public DataViewRowId(ulong low, ulong high)
    {
        Low = low;
        High = high;
    }

    /// <summary>The state after hashing sixteen zero bytes.</summary>
    public DataViewRowId Next() => Round(Low, High);

    /// <summary>The state after hashing sixteen bytes that hold the number one.</summary>
    public DataViewRowId Fork()
    {
        var next = Next();
        return new DataViewRowId(next.Low ^ (BitOperations.RotateLeft(C1, 31) * C2), next.High);
    }

    /// <summary>The state after hashing the fork of <paramref name="other"/>.</summary>
    public DataViewRowId Combine(DataViewRowId other)
    {
        other = other.Fork();
        ulong k1 = BitOperations.RotateLeft(other.Low * C1, 31) * C2;
        ulong k2 = BitOperations.RotateLeft(other.High * C2, 33) * C1;
        return Round(Low ^ k1, High, k2);
    }

    private static DataViewRowId Round(ulong h1, ulong h2, ulong k2 = 0)
    {
        h1 = (BitOperations.RotateLeft(h1, 27) + h2) * 5 + 0x52dce729;
        h2 = (BitOperations.RotateLeft(h2 ^ k2, 31) + h1) * 5 + 0x38495ab5;
        return new DataViewRowId(h1, h2);
    }

    public int CompareTo(DataViewRowId other) => High != other.High ? High.CompareTo(other.High) : Low.CompareTo(other.Low);

    public bool Equals(DataViewRowId other) => Low == other.Low && High == other.High;

    public override bool Equals(object obj) => obj is DataViewRowId other && Equals(other);

    public override int GetHashCode() => HashCode.Combine(Low, High);

    public override string ToString() => $"{High:x16}{Low:x16}";
}
