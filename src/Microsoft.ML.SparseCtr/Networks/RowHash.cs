namespace Microsoft.ML.SparseCtr;

/// <summary>A hash by which a key that has no row of its own chooses one of a table's (docs/model.md): of the universal class of Carter and Wegman.</summary>
internal readonly record struct RowHash(long Multiplier, long Offset)
{
    /// <summary>2³¹ − 1. Keys and multipliers are below it, so that their products are exact in an Int64.</summary>
    public const long Prime = int.MaxValue;

    // The two multipliers that Fishman and Moore (1986) found to spread best modulo this prime, and the first digits of π and e.
    public static RowHash First => new(742_938_285, 314_159_265);
    public static RowHash Second => new(950_706_376, 271_828_182);

    /// <summary>The first row is the missing key's, the last one the candidate's value's; no hashed key shares them.</summary>
    public long RowOf(int key, KeyField field)
    {
        if (key > 0 && key <= field.KeyCount)
            return (key * Multiplier + Offset) % Prime % field.KeyRows + 1;
        return key <= 0 ? 0 : field.TableRows - 1;
    }
}
