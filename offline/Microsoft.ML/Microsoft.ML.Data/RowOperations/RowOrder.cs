namespace Microsoft.ML.Data;

/// <summary>The order in which the rows of a source that can be read at any place are visited, by one or several cursors.</summary>
internal static class RowOrder
{
    /// <summary>
    /// Splits <paramref name="count"/> rows, shuffled if <paramref name="rand"/> is given, into at most <paramref name="n"/> consecutive
    /// batches.
    /// </summary>
    public static (long Batch, IEnumerable<long> Rows)[] Split(long count, int n, Random rand)
    {
        int parts = (int)Math.Clamp(count, 1, Math.Max(n, 1));
        int[] shuffled = null;
        if (rand is not null)
        {
            shuffled = [.. Enumerable.Range(0, checked((int)count))];
            rand.Shuffle(shuffled);
        }
        var result = new (long, IEnumerable<long>)[parts];
        for (int i = 0; i < parts; i++)
            result[i] = (i, Range(count * i / parts, count * (i + 1) / parts));
        return result;

        IEnumerable<long> Range(long first, long end)
        {
            for (long row = first; row < end; row++)
                yield return shuffled is null ? row : shuffled[row];
        }
    }
}
