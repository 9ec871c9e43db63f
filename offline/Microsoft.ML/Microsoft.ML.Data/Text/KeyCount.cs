namespace Microsoft.ML.Data;

/// <summary>Makes a column keys: text holds them as numbers from 0 on.</summary>
public sealed class KeyCount
{
    /// <summary>How many keys there are; null for as many as the column's type can hold.</summary>
    public ulong? Count;

    public KeyCount()
    {
    }

    public KeyCount(ulong count) => Count = count;
}
