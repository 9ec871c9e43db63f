namespace Microsoft.ML.SparseCtr;

/// <summary>A line of the reliability table: rows of neighboring predictions, and how often they were in fact clicked.</summary>
/// <param name="Lower">The smallest predicted probability of the bin.</param>
/// <param name="Upper">The largest predicted probability of the bin.</param>
/// <param name="NumberOfRows">Rows in the bin.</param>
/// <param name="MeanPrediction">The mean of the rows' predicted probabilities.</param>
/// <param name="ObservedRate">The share of the rows that were clicked.</param>
public sealed record ReliabilityBin(float Lower, float Upper, long NumberOfRows, double MeanPrediction, double ObservedRate);

/// <summary>
/// Collects predictions in 1 MB, however many there are: in cells by the upper 16 bits after a Single's sign, whose predictions lie within
/// 0.4% of each other, that merge to bins. Only where bins begin is rounded to cells; what they say of their rows is exact.
/// </summary>
internal sealed class ReliabilityCells
{
    private readonly Cell[] _cells = new Cell[IndexOf(1) + 1];

    public void Add(float probability, bool clicked)
    {
        probability = Math.Abs(probability); // -0 is 0
        ref Cell cell = ref _cells[IndexOf(probability)];
        var row = new Cell(1, clicked ? 1 : 0, probability, probability, probability);
        cell = cell.Rows == 0 ? row : cell + row;
    }

    /// <summary>Bins of about equally many rows: a cell goes where its middle row belongs.</summary>
    public ReliabilityBin[] ToBins(int numberOfBins)
    {
        double rows = _cells.Sum(cell => cell.Rows), before = 0;
        var bins = new List<Cell>();
        long last = -1;
        foreach (Cell cell in _cells.Where(cell => cell.Rows > 0))
        {
            long bin = (long)((before + cell.Rows / 2.0) / rows * numberOfBins);
            if (bin == last)
                bins[^1] += cell;
            else
                bins.Add(cell);
            (last, before) = (bin, before + cell.Rows);
        }
        return bins.Select(bin => bin.ToBin()).ToArray();
    }

    private static int IndexOf(float probability) => BitConverter.SingleToInt32Bits(probability) >> 15;

    private readonly record struct Cell(long Rows, long Clicks, double Sum, float Lower, float Upper)
    {
        public static Cell operator +(Cell a, Cell b)
            => new(a.Rows + b.Rows, a.Clicks + b.Clicks, a.Sum + b.Sum, Math.Min(a.Lower, b.Lower), Math.Max(a.Upper, b.Upper));

        public ReliabilityBin ToBin() => new(Lower, Upper, Rows, Sum / Rows, (double)Clicks / Rows);
    }
}
