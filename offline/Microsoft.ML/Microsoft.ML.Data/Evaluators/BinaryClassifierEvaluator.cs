using Microsoft.ML.Runtime;

namespace Microsoft.ML.Data;

/// <summary>Counts what the metrics of binary classification are made of, in one pass over scored data.</summary>
internal sealed class BinaryClassifierEvaluator
{
    private readonly List<(float Score, bool IsPositive)> _scored = [];
    private double _logLoss;
    private double _positivesWithProbability;
    private double _negativesWithProbability;

    private BinaryClassifierEvaluator(IHost host, IDataView data, string labelName, string scoreName, string probabilityName,
        string predictedLabelName)
    {
        host.CheckValue(data, nameof(data));
        var label = data.Schema.GetColumn(host, "label", labelName, "labelColumnName");
        if (label.Type != BooleanDataViewType.Instance && label.Type != NumberDataViewType.Single && label.Type != NumberDataViewType.Double
            && label.Type is not KeyDataViewType { Count: 2 })
        {
            throw host.ExceptSchemaMismatch("labelColumnName", "label", label.Name,
                "Single, Double, Boolean, or a KeyType with cardinality 2", label.Type.ToString());
        }
        data.Schema.GetColumn(host, "predicted label", predictedLabelName, "predictedLabelColumnName");
        var score = GetSingle(host, data, "score", scoreName, "scoreColumnName");
        DataViewSchema.Column[] probability = probabilityName is null
            ? []
            : [GetSingle(host, data, "probability", probabilityName, "probabilityColumnName")];

        using var cursor = data.GetRowCursor([label, score, .. probability]);
        var getLabel = NumberGetters.AsLabel(cursor, label);
        var getScore = cursor.GetGetter<float>(score);
        var getProbability = probabilityName is null ? null : cursor.GetGetter<float>(probability[0]);
        float labelValue = 0, scoreValue = 0, probabilityValue = float.NaN;
        while (cursor.MoveNext())
        {
            getLabel(ref labelValue);
            getScore(ref scoreValue);
            getProbability?.Invoke(ref probabilityValue);
            if (float.IsFinite(scoreValue) && !float.IsNaN(labelValue))
                Add(labelValue > 0, scoreValue, probabilityValue);
        }
    }

    public double TruePositives { get; private set; }
    public double FalseNegatives { get; private set; }
    public double FalsePositives { get; private set; }
    public double TrueNegatives { get; private set; }
    public double Positives => TruePositives + FalseNegatives;
    public double Negatives => FalsePositives + TrueNegatives;

    public static BinaryClassificationMetrics EvaluateNonCalibrated(IHost host, IDataView data, string label, string score,
        string predictedLabel) =>
        new(new BinaryClassifierEvaluator(host, data, label, score, null, predictedLabel));

    public static CalibratedBinaryClassificationMetrics Evaluate(IHost host, IDataView data, string label, string score, string probability,
        string predictedLabel) =>
        new(new BinaryClassifierEvaluator(host, data, label, score, probability, predictedLabel));

    /// <summary>The entropy in bits of an event of the given probability.</summary>
    public static double GetEntropy(double probability) =>
        probability is 0 or 1 ? 0 : -probability * Math.Log2(probability) - (1 - probability) * Math.Log2(1 - probability);

    /// <summary>The mean log loss, NaN if a probability was.</summary>
    public double GetLogLoss() => double.IsNaN(_logLoss) ? double.NaN
        : _positivesWithProbability + _negativesWithProbability > 0 ? _logLoss / (_positivesWithProbability + _negativesWithProbability)
        : 0;

    public double GetLogLossReduction()
    {
        double count = _positivesWithProbability + _negativesWithProbability;
        if (count == 0)
            return 0;
        double priorLogLoss = GetEntropy(_positivesWithProbability / count);
        return (priorLogLoss - _logLoss / count) / priorLogLoss;
    }

    public double GetAreaUnderRocCurve()
    {
        if (Positives == 0)
            throw new ArgumentOutOfRangeException("PosSample", "AUC is not defined when there is no positive class in the data");
        if (Negatives == 0)
            throw new ArgumentOutOfRangeException("NegSample", "AUC is not defined when there is no negative class in the data");
        double orderedPairs = 0, negativesBelow = 0;
        var ascending = _scored.OrderBy(row => row.Score).ToArray();
        for (int start = 0, end; start < ascending.Length; start = end)
        {
            double positives = 0, negatives = 0;
            for (end = start; end < ascending.Length && ascending[end].Score == ascending[start].Score; end++)
            {
                if (ascending[end].IsPositive)
                    positives++;
                else
                    negatives++;
            }
            orderedPairs += positives * (negativesBelow + negatives / 2);
            negativesBelow += negatives;
        }
        return orderedPairs / (Positives * Negatives);
    }

    /// <summary>The area by the lower trapezoid estimator: between positives precision falls, and is not interpolated.</summary>
    public double GetAreaUnderPrecisionRecallCurve()
    {
        double area = 0, truePositives = 0, falsePositives = 0, previousPrecision = 1;
        foreach (var (_, isPositive) in _scored.OrderByDescending(row => row.Score))
        {
            if (isPositive)
                truePositives++;
            else
                falsePositives++;
            double precision = truePositives / (truePositives + falsePositives);
            if (isPositive)
                area += (previousPrecision + precision) / 2 / Positives;
            previousPrecision = precision;
        }
        return area;
    }

    private void Add(bool isPositive, float score, float probability)
    {
        _scored.Add((score, isPositive));
        bool isPredictedPositive = score > 0;
        if (isPositive)
        {
            TruePositives += isPredictedPositive ? 1 : 0;
            FalseNegatives += isPredictedPositive ? 0 : 1;
        }
        else
        {
            FalsePositives += isPredictedPositive ? 1 : 0;
            TrueNegatives += isPredictedPositive ? 0 : 1;
        }
        _logLoss += -Math.Log2(isPositive ? probability : 1.0 - probability);
        if (float.IsNaN(probability))
            return;
        if (isPositive)
            _positivesWithProbability++;
        else
            _negativesWithProbability++;
    }

    private static DataViewSchema.Column GetSingle(IHost host, IDataView data, string role, string name, string paramName)
    {
        var column = data.Schema.GetColumn(host, role, name, paramName);
        return column.Type == NumberDataViewType.Single
            ? column
            : throw host.ExceptSchemaMismatch(paramName, role, name, NumberDataViewType.Single.ToString(), column.Type.ToString());
    }
}
