using System.Runtime.InteropServices;

namespace Microsoft.ML.SparseCtr;

/// <summary>Collects rows and sorts them, in place, into lists: by group, and within a group best score first.</summary>
/// <param name="capacity">About how many rows will come.</param>
/// <param name="group">The current row's group; all rows are one where it is null.</param>
internal sealed class RankedRows(int capacity, Func<ulong>? group = null)
{
    // All of a row is in 8 bytes that sort as the row does: 31 bits of group, 32 of score, 1 of click.
    private const int GroupShift = 33;

    private readonly List<ulong> _rows = new(capacity);
    private readonly Dictionary<ulong, int> _groups = [];

    public void Add(float score, bool clicked)
        => _rows.Add(((ulong)CurrentGroup() << GroupShift) | ((ulong)Descending(score) << 1) | (clicked ? 1UL : 0));

    public void Sort() => CollectionsMarshal.AsSpan(_rows).Sort();

    /// <summary>The mean of a metric over the lists, which have been sorted.</summary>
    public ListMean Mean(Func<RankedList, double> metric, bool weighByRows = false)
    {
        double sum = 0, weights = 0;
        int lists = 0, undefined = 0;
        for (ReadOnlySpan<ulong> rest = CollectionsMarshal.AsSpan(_rows); rest.Length > 0; lists++)
        {
            int end = 1;
            while (end < rest.Length && rest[end] >> GroupShift == rest[0] >> GroupShift)
                end++;
            double value = metric(new RankedList(rest[..end])), weight = weighByRows ? end : 1;
            rest = rest[end..];
            if (double.IsNaN(value))
                undefined++;
            else
                (sum, weights) = (sum + weight * value, weights + weight);
        }
        return new ListMean(sum / weights, lists, undefined);
    }

    /// <summary>Forgets the groups, which needs no second copy of the rows, and sorts all rows into one list.</summary>
    public RankedList SortAsOneList()
    {
        Span<ulong> rows = CollectionsMarshal.AsSpan(_rows);
        foreach (ref ulong row in rows)
            row &= (1UL << GroupShift) - 1;
        rows.Sort();
        return new RankedList(rows);
    }

    private int CurrentGroup()
    {
        if (group is null)
            return 0;
        ref int number = ref CollectionsMarshal.GetValueRefOrAddDefault(_groups, group(), out bool exists);
        return exists ? number : number = _groups.Count - 1;
    }

    /// <summary>A number that falls as the score rises, equal for equal scores: 0 and -0 are.</summary>
    private static uint Descending(float score)
    {
        uint bits = BitConverter.SingleToUInt32Bits(score == 0 ? 0 : score);
        return bits >> 31 == 0 ? ~bits & 0x7FFF_FFFF : bits;
    }
}

/// <summary>The mean of a metric over lists.</summary>
/// <param name="Mean">The mean; NaN where no list defines the metric.</param>
/// <param name="Lists">All lists.</param>
/// <param name="Undefined">The lists left out: the metric is NaN there.</param>
internal readonly record struct ListMean(double Mean, int Lists, int Undefined);

/// <summary>Rows that were ranked together, best score first, as the ties that they form.</summary>
/// <param name="rows">The rows, sorted.</param>
internal readonly ref struct RankedList(ReadOnlySpan<ulong> rows)
{
    private readonly ReadOnlySpan<ulong> _rows = rows;

    public int Count => _rows.Length;

    /// <summary>AUC: the probability that a click scores above a non-click, ties counted half (the Mann-Whitney statistic).</summary>
    /// <returns>NaN where a class is missing.</returns>
    public double AreaUnderRocCurve()
    {
        double pairsWon = 0, clicks = 0;
        foreach (Tie tie in this)
        {
            pairsWon += (tie.Rows - tie.Clicks) * (clicks + tie.Clicks / 2.0);
            clicks += tie.Clicks;
        }
        return pairsWon / (clicks * (Count - clicks));
    }

    /// <summary>NDCG of the first rows, averaged over all orders of the tied.</summary>
    /// <returns>NaN without clicks.</returns>
    public double NormalizedDiscountedCumulativeGain(int truncationLevel)
    {
        double gain = 0;
        int clicks = 0;
        foreach (Tie tie in this)
        {
            gain += Discounts(tie.Start, tie.Start + tie.Rows) * tie.Clicks / tie.Rows;
            clicks += tie.Clicks;
        }
        return gain / Discounts(0, clicks);

        double Discounts(int start, int end)
        {
            double sum = 0;
            for (int i = start; i < Math.Min(end, truncationLevel); i++)
                sum += 1 / Math.Log2(i + 2.0);
            return sum;
        }
    }

    /// <summary>The reciprocal rank of the first click, averaged over all orders of the tied.</summary>
    /// <returns>NaN without clicks.</returns>
    public double ReciprocalRank()
    {
        foreach (Tie tie in this)
        {
            if (tie.Clicks == 0)
                continue;
            double mean = 0, noneYet = 1;
            for (int i = 0; i <= tie.Rows - tie.Clicks; i++)
            {
                double left = tie.Rows - i;
                mean += noneYet * (tie.Clicks / left) / (tie.Start + i + 1.0);
                noneYet *= (left - tie.Clicks) / left;
            }
            return mean;
        }
        return double.NaN;
    }

    public Enumerator GetEnumerator() => new(_rows);

    /// <summary>Rows of one score.</summary>
    public readonly record struct Tie(int Start, int Rows, int Clicks);

    public ref struct Enumerator(ReadOnlySpan<ulong> rows)
    {
        private readonly ReadOnlySpan<ulong> _rows = rows;

        public Tie Current { get; private set; }

        public bool MoveNext()
        {
            int start = Current.Start + Current.Rows, end = start, clicks = 0;
            for (; end < _rows.Length && _rows[end] >> 1 == _rows[start] >> 1; end++)
                clicks += (int)(_rows[end] & 1);
            Current = new Tie(start, end - start, clicks);
            return start < _rows.Length;
        }
    }
}
