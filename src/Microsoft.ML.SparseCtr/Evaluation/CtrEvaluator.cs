using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.SparseCtr.Interop;
using static System.FormattableString;

namespace Microsoft.ML.SparseCtr;

/// <summary>One evaluation: reads a scored view once and computes <see cref="CtrMetrics"/>.</summary>
internal sealed class CtrEvaluator(
    string labelColumnName, string scoreColumnName, string? probabilityColumnName, string? groupColumnName, string? rowGroupColumnName,
    int truncationLevel, int numberOfBins)
{
    private readonly ReliabilityCells _cells = new();
    private readonly Dictionary<string, string> _undefinedReasons = [];
    private RankedRows? _groups, _lists;
    private long _rows, _clicks, _rowsWithoutLabel, _nanScores, _nanProbabilities;
    private double _predictionSum, _lossSum;

    public CtrMetrics Evaluate(IHostEnvironment environment, IDataView data)
    {
        List<InputColumn> columns =
        [
            new("label", labelColumnName, ColumnContent.Label),
            new("score", scoreColumnName, ColumnContent.Number),
        ];
        if (probabilityColumnName is not null)
            columns.Add(new("probability", probabilityColumnName, ColumnContent.Number));
        if (groupColumnName is not null)
            columns.Add(new("group", groupColumnName, ColumnContent.Group));
        if (rowGroupColumnName is not null)
            columns.Add(new("row group", rowGroupColumnName, ColumnContent.Group));
        SchemaShape shape = MLNetInternals.ShapeOf(data.Schema);
        foreach (InputColumn column in columns)
            column.Check(environment, shape);

        int capacity = (int)Math.Min(data.GetRowCount() ?? 0, Array.MaxLength);
        IEnumerable<string> names = columns.Select(column => column.Name).Distinct();
        using DataViewRowCursor cursor = data.GetRowCursor(names.Select(name => data.Schema[name]));
        _groups = RowsBy(groupColumnName);
        _lists = RowsBy(rowGroupColumnName);
        RankedRows all = _groups ?? _lists ?? new RankedRows(capacity);
        Read(cursor, [.. new[] { all, _groups, _lists }.OfType<RankedRows>().Distinct()]);
        return ToMetrics(all);

        RankedRows? RowsBy(string? column) => column is null ? null : new(capacity, ColumnReader.Group(cursor, data.Schema[column]));
    }

    private void Read(DataViewRowCursor cursor, RankedRows[] rankings)
    {
        Func<float> readLabel = ColumnReader.Label(cursor, cursor.Schema[labelColumnName]);
        Func<float> readScore = ColumnReader.Number(cursor, cursor.Schema[scoreColumnName]);
        Func<float> readProbability = probabilityColumnName is null ? () => 0 : ColumnReader.Number(cursor, cursor.Schema[probabilityColumnName]);
        while (cursor.MoveNext())
        {
            float label = readLabel();
            if (float.IsNaN(label))
            {
                _rowsWithoutLabel++;
                continue;
            }
            float score = readScore(), probability = readProbability();
            if (probability is < 0 or > 1)
            {
                throw new InvalidOperationException(Invariant(
                    $"Probability column '{probabilityColumnName}' must be from 0 to 1; row {cursor.Position} has {probability}."));
            }

            bool clicked = label == 1;
            _rows++;
            _clicks += clicked ? 1 : 0;
            _nanScores += float.IsNaN(score) ? 1 : 0;
            _nanProbabilities += float.IsNaN(probability) ? 1 : 0;
            if (_nanScores + _nanProbabilities > 0)
                continue;

            foreach (RankedRows ranking in rankings)
                ranking.Add(score, clicked);
            _cells.Add(probability, clicked);
            _predictionSum += probability;
            _lossSum += LogLoss(probability, clicked);
        }
        ThrowIfAny(_nanScores, $"Score column '{scoreColumnName}'");
        ThrowIfAny(_nanProbabilities, $"Probability column '{probabilityColumnName}'");
    }

    private void ThrowIfAny(long nans, string column)
    {
        if (nans > 0)
            throw new InvalidOperationException($"{column} is NaN in {nans} of {_rows} rows with a label.");
    }

    private CtrMetrics ToMetrics(RankedRows all)
    {
        _groups?.Sort();
        ListMean groupAuc = _groups?.Mean(list => list.AreaUnderRocCurve(), weighByRows: true) ?? default;
        _lists?.Sort();
        ListMean gain = _lists?.Mean(list => list.NormalizedDiscountedCumulativeGain(truncationLevel)) ?? default;
        ListMean reciprocalRank = _lists?.Mean(list => list.ReciprocalRank()) ?? default;
        // Last, as it forgets the groups.
        double auc = all.SortAsOneList().AreaUnderRocCurve();

        string? noProbabilities = probabilityColumnName is null ? "no probability column was given" : null;
        string? noRows = _rows == 0 ? "there are no rows with a label" : null;
        string? noClicks = noRows ?? (_clicks == 0 ? "there are no clicks" : null);
        string? oneClass = noClicks ?? (_clicks == _rows ? "every row is a click" : null);
        string? noGroups = groupColumnName is null ? "no group column was given"
            : oneClass ?? (groupAuc.Undefined == groupAuc.Lists ? "no group has both clicks and non-clicks" : null);
        string? noLists = rowGroupColumnName is null ? "no row group column was given" : noClicks;

        double logLoss = _lossSum / _rows, rate = (double)_clicks / _rows;
        ReliabilityBin[] bins = noProbabilities is null ? _cells.ToBins(numberOfBins) : [];
        return new CtrMetrics
        {
            NumberOfRows = _rows,
            NumberOfClicks = _clicks,
            NumberOfRowsWithoutLabel = _rowsWithoutLabel,
            AreaUnderRocCurve = Unless(oneClass, auc, nameof(CtrMetrics.AreaUnderRocCurve)),
            GroupAreaUnderRocCurve = Unless(noGroups, groupAuc.Mean, nameof(CtrMetrics.GroupAreaUnderRocCurve)),
            NumberOfGroups = groupAuc.Lists,
            NumberOfUndefinedGroups = groupAuc.Undefined,
            NormalizedDiscountedCumulativeGain = Unless(noLists, gain.Mean, nameof(CtrMetrics.NormalizedDiscountedCumulativeGain)),
            TruncationLevel = truncationLevel,
            MeanReciprocalRank = Unless(noLists, reciprocalRank.Mean, nameof(CtrMetrics.MeanReciprocalRank)),
            NumberOfLists = gain.Lists,
            NumberOfListsWithoutClicks = gain.Undefined,
            LogLoss = Unless(noProbabilities ?? noRows, logLoss, nameof(CtrMetrics.LogLoss)),
            NormalizedEntropy = Unless(noProbabilities ?? oneClass, logLoss / Entropy(rate), nameof(CtrMetrics.NormalizedEntropy)),
            Calibration = Unless(noProbabilities ?? noClicks, _predictionSum / _clicks, nameof(CtrMetrics.Calibration)),
            ExpectedCalibrationError = Unless(noProbabilities ?? noRows, CalibrationError(bins), nameof(CtrMetrics.ExpectedCalibrationError)),
            ReliabilityBins = bins,
            UndefinedReasons = _undefinedReasons,
        };
    }

    private double Unless(string? undefinedReason, double value, string metric)
    {
        if (undefinedReason is null)
            return value;
        _undefinedReasons.Add(metric, undefinedReason);
        return double.NaN;
    }

    private static double LogLoss(float probability, bool clicked)
    {
        // As scikit-learn clips Singles; without it, one certain and wrong prediction would make the mean infinite.
        const double epsilon = 1.0 / (1 << 23);
        double clipped = Math.Clamp(probability, epsilon, 1 - epsilon);
        return -Math.Log(clicked ? clipped : 1 - clipped);
    }

    private static double Entropy(double rate) => -rate * Math.Log(rate) - (1 - rate) * Math.Log(1 - rate);

    private double CalibrationError(ReliabilityBin[] bins)
        => bins.Sum(bin => bin.NumberOfRows * Math.Abs(bin.MeanPrediction - bin.ObservedRate)) / _rows;
}
