namespace Microsoft.ML.Data;

/// <summary>How well scores tell two classes apart. A score greater than 0 predicts the positive class.</summary>
public class BinaryClassificationMetrics
{
    internal BinaryClassificationMetrics(BinaryClassifierEvaluator result)
    {
        double[][] counts = [[result.TruePositives, result.FalseNegatives], [result.FalsePositives, result.TrueNegatives]];
        ConfusionMatrix = new ConfusionMatrix(counts);
        Accuracy = (result.TruePositives + result.TrueNegatives) / (result.Positives + result.Negatives);
        PositivePrecision = ConfusionMatrix.PerClassPrecision[0];
        PositiveRecall = ConfusionMatrix.PerClassRecall[0];
        NegativePrecision = ConfusionMatrix.PerClassPrecision[1];
        NegativeRecall = ConfusionMatrix.PerClassRecall[1];
        F1Score = 2 * PositivePrecision * PositiveRecall / (PositivePrecision + PositiveRecall);
        AreaUnderRocCurve = result.GetAreaUnderRocCurve();
        AreaUnderPrecisionRecallCurve = result.GetAreaUnderPrecisionRecallCurve();
    }

    public double Accuracy { get; }

    /// <summary>The probability that a positive row has a higher score than a negative one, equal scores counting half.</summary>
    public double AreaUnderRocCurve { get; }

    public double AreaUnderPrecisionRecallCurve { get; }

    public double F1Score { get; }

    public double PositivePrecision { get; }

    public double PositiveRecall { get; }

    public double NegativePrecision { get; }

    public double NegativeRecall { get; }

    public ConfusionMatrix ConfusionMatrix { get; }
}

/// <summary>How well probabilities, and the scores that they come from, predict two classes. Logarithms are to base 2.</summary>
public sealed class CalibratedBinaryClassificationMetrics : BinaryClassificationMetrics
{
    internal CalibratedBinaryClassificationMetrics(BinaryClassifierEvaluator result) : base(result)
    {
        LogLoss = result.GetLogLoss();
        LogLossReduction = result.GetLogLossReduction();
        Entropy = BinaryClassifierEvaluator.GetEntropy(result.Positives / (result.Positives + result.Negatives));
    }

    public double LogLoss { get; }

    /// <summary>By how much, of 1, the log loss is less than that of always predicting the share of positive rows.</summary>
    public double LogLossReduction { get; }

    public double Entropy { get; }
}
