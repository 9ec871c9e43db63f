using System.Text.Json;
using System.Text.Json.Serialization;
using static System.FormattableString;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// How well click-through rates were predicted. A value that the data leaves undefined is NaN, and <see cref="UndefinedReasons"/> says why.
/// </summary>
public sealed class CtrMetrics
{
    private static readonly JsonSerializerOptions s_json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        DictionaryKeyPolicy = JsonNamingPolicy.CamelCase,
        Converters = { new NaNAsNull() },
        WriteIndented = true,
    };

    internal CtrMetrics()
    {
    }

    /// <summary>Rows evaluated.</summary>
    public long NumberOfRows { get; internal init; }

    /// <summary>Rows with a click.</summary>
    public long NumberOfClicks { get; internal init; }

    /// <summary>Rows left out because they have no label.</summary>
    public long NumberOfRowsWithoutLabel { get; internal init; }

    /// <summary>AUC: the probability that a click scores above a non-click, ties counted half.</summary>
    public double AreaUnderRocCurve { get; internal init; }

    /// <summary>
    /// GAUC: the AUC within each group (such as a user), averaged with the groups' rows as weights; groups with clicks only or
    /// non-clicks only are left out.
    /// </summary>
    public double GroupAreaUnderRocCurve { get; internal init; }

    /// <summary>Groups in the data.</summary>
    public int NumberOfGroups { get; internal init; }

    /// <summary>Groups left out of <see cref="GroupAreaUnderRocCurve"/>, which have clicks only or non-clicks only.</summary>
    public int NumberOfUndefinedGroups { get; internal init; }

    /// <summary>
    /// NDCG of the first <see cref="TruncationLevel"/> rows of each list of rows that were ranked together, averaged over the lists with a
    /// click. Where rows tie, it is the mean over all their orders, as in scikit-learn.
    /// </summary>
    public double NormalizedDiscountedCumulativeGain { get; internal init; }

    /// <summary>How many rows of a list <see cref="NormalizedDiscountedCumulativeGain"/> looks at.</summary>
    public int TruncationLevel { get; internal init; }

    /// <summary>
    /// MRR: one over the rank of a list's first click, averaged over the lists with a click. Where rows tie, it is the mean over all their
    /// orders.
    /// </summary>
    public double MeanReciprocalRank { get; internal init; }

    /// <summary>Lists of rows that were ranked together.</summary>
    public int NumberOfLists { get; internal init; }

    /// <summary>
    /// Lists left out of <see cref="NormalizedDiscountedCumulativeGain"/> and <see cref="MeanReciprocalRank"/>, which have no click.
    /// </summary>
    public int NumberOfListsWithoutClicks { get; internal init; }

    /// <summary>Mean negative log likelihood of the labels, in nats, of probabilities clipped to 2^-23 from 0 and 1.</summary>
    public double LogLoss { get; internal init; }

    /// <summary>
    /// <see cref="LogLoss"/> over the entropy of the overall click rate: below 1, the predictions beat that rate as the only prediction.
    /// </summary>
    public double NormalizedEntropy { get; internal init; }

    /// <summary>The mean predicted probability over the observed click rate: above 1, too many clicks were predicted.</summary>
    public double Calibration { get; internal init; }

    /// <summary>
    /// ECE: how far mean prediction and observed rate of the <see cref="ReliabilityBins"/> are apart, averaged over the rows.
    /// </summary>
    public double ExpectedCalibrationError { get; internal init; }

    /// <summary>
    /// The reliability table: bins of about equally many rows, by ascending prediction. Predictions within 0.4% of each other may share
    /// a bin whatever its size, and equal ones always do.
    /// </summary>
    public IReadOnlyList<ReliabilityBin> ReliabilityBins { get; internal init; } = [];

    /// <summary>For each metric that is NaN, by the name of its property, why.</summary>
    public IReadOnlyDictionary<string, string> UndefinedReasons { get; internal init; } = new Dictionary<string, string>();

    /// <summary>JSON for other tools: the properties in camel case, NaN as null.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, s_json);

    /// <summary>All metrics and the reliability table, in aligned lines.</summary>
    public override string ToString() => string.Join(Environment.NewLine,
    [
        Invariant($"{"rows",-24}{NumberOfRows,14:N0}  {NumberOfClicks:N0} clicks; ")
            + Invariant($"without a label, left out: {NumberOfRowsWithoutLabel:N0}"),
        Line("AUC", AreaUnderRocCurve, nameof(AreaUnderRocCurve)),
        Line("GAUC", GroupAreaUnderRocCurve, nameof(GroupAreaUnderRocCurve),
            Invariant($"{NumberOfGroups:N0} groups; of one class, left out: {NumberOfUndefinedGroups:N0}")),
        Line(Invariant($"NDCG@{TruncationLevel}"), NormalizedDiscountedCumulativeGain, nameof(NormalizedDiscountedCumulativeGain),
            Invariant($"{NumberOfLists:N0} lists; without clicks, left out: {NumberOfListsWithoutClicks:N0}")),
        Line("MRR", MeanReciprocalRank, nameof(MeanReciprocalRank)),
        Line("log loss", LogLoss, nameof(LogLoss)),
        Line("normalized entropy", NormalizedEntropy, nameof(NormalizedEntropy)),
        Line("calibration", Calibration, nameof(Calibration), "mean prediction / click rate"),
        Line("calibration error (ECE)", ExpectedCalibrationError, nameof(ExpectedCalibrationError)),
        .. ReliabilityBins.Select(bin => Invariant($"{bin.Lower,10:F6} to {bin.Upper:F6}{bin.NumberOfRows,16:N0}  ")
            + Invariant($"predicted {bin.MeanPrediction:F6}, observed {bin.ObservedRate:F6}")),
    ]);

    private string Line(string name, double value, string metric, string remark = "")
        => Invariant($"{name,-24}{value,14:F4}  {UndefinedReasons.GetValueOrDefault(metric, remark)}").TrimEnd();

    private sealed class NaNAsNull : JsonConverter<double>
    {
        public override double Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
            => throw new NotSupportedException();

        public override void Write(Utf8JsonWriter writer, double value, JsonSerializerOptions options)
        {
            if (double.IsNaN(value))
                writer.WriteNullValue();
            else
                writer.WriteNumberValue(value);
        }
    }
}
