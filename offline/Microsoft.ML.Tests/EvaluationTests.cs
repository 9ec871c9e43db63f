using FsCheck;
using FsCheck.Fluent;
using Microsoft.ML.Data;

namespace Microsoft.ML.Tests;

public class EvaluationTests
{
    private readonly MLContext _ml = new();

    private class Scored
    {
        public bool Label { get; set; }
        public float Score { get; set; }
        public float Probability { get; set; }
        public bool PredictedLabel { get; set; }
    }

    private IDataView Load(params (bool Label, float Score)[] rows) => _ml.Data.LoadFromEnumerable(rows.Select(row =>
        new Scored { Label = row.Label, Score = row.Score, Probability = 1 / (1 + MathF.Exp(-row.Score)) }).ToList());

    [Fact]
    public void AucIsTheShareOfPairsInOrderWithTiesCountingHalf() => Prop.ForAll<(bool Label, byte Score)[]>(rows =>
    {
        var scored = rows.Select(row => (row.Label, Score: (float)(row.Score % 8))).Append((true, 3)).Append((false, 4)).ToArray();
        var pairs =
            from positive in scored where positive.Label
            from negative in scored where !negative.Label
            select positive.Score > negative.Score ? 1.0 : positive.Score == negative.Score ? 0.5 : 0;
        return Math.Abs(pairs.Average() - _ml.BinaryClassification.EvaluateNonCalibrated(Load(scored)).AreaUnderRocCurve) < 1e-12;
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void CountsFollowTheSignOfTheScore()
    {
        var metrics = _ml.BinaryClassification.EvaluateNonCalibrated(Load((true, 2), (true, -1), (true, 3), (false, 1), (false, -2)));
        Assert.Equal(3 / 5.0, metrics.Accuracy);
        Assert.Equal(2 / 3.0, metrics.PositivePrecision);
        Assert.Equal(2 / 3.0, metrics.PositiveRecall);
        Assert.Equal(1 / 2.0, metrics.NegativePrecision);
        Assert.Equal(1 / 2.0, metrics.NegativeRecall);
        Assert.Equal(2 / 3.0, metrics.F1Score, 12);
        Assert.Equal([[2, 1], [1, 1]], metrics.ConfusionMatrix.Counts);
        Assert.Equal(1, metrics.ConfusionMatrix.GetCountForClassPair(predictedClassIndicatorIndex: 1, actualClassIndicatorIndex: 0));
    }

    [Fact]
    public void TheConfusionTableIsFormattedAsInMLNet() => Assert.Equal(
        """
        TEST POSITIVE RATIO:	0.6000 (3.0/(3.0+2.0))
        Confusion table
                  ||======================
        PREDICTED || positive | negative | Recall
        TRUTH     ||======================
         positive ||        2 |        1 | 0.6667
         negative ||        1 |        1 | 0.5000
                  ||======================
        Precision ||   0.6667 |   0.5000 |

        """, _ml.BinaryClassification.EvaluateNonCalibrated(Load((true, 2), (true, -1), (true, 3), (false, 1), (false, -2)))
            .ConfusionMatrix.GetFormattedConfusionTable(), ignoreLineEndingDifferences: true);

    [Fact]
    public void AveragePrecisionFallsWithEveryNegativeAboveAPositive()
    {
        Assert.Equal(1, _ml.BinaryClassification.EvaluateNonCalibrated(Load((true, 3), (true, 2), (false, 1)))
            .AreaUnderPrecisionRecallCurve, 12);
        // positive, negative, positive: 1/2 * (1 + 1)/2 + 1/2 * (1/2 + 2/3)/2
        Assert.Equal(0.5 + 7 / 24.0, _ml.BinaryClassification.EvaluateNonCalibrated(Load((true, 3), (false, 2), (true, 1)))
            .AreaUnderPrecisionRecallCurve, 12);
    }

    [Fact]
    public void LogLossIsInBits()
    {
        var data = _ml.Data.LoadFromEnumerable(new Scored[]
        {
            new() { Label = true, Score = 1, Probability = 0.5f }, new() { Label = false, Score = -1, Probability = 0.25f },
            new() { Label = false, Score = -1, Probability = 0.5f }, new() { Label = true, Score = 1, Probability = 1 },
        });
        var metrics = _ml.BinaryClassification.Evaluate(data);
        double logLoss = (1 - Math.Log2(0.75) + 1 + 0) / 4;
        Assert.Equal(logLoss, metrics.LogLoss, 12);
        Assert.Equal(1, metrics.Entropy, 12);
        Assert.Equal(1 - logLoss, metrics.LogLossReduction, 12);
    }

    [Fact]
    public void RowsWithoutAScoreAreLeftOut()
    {
        var data = Load((true, 2), (false, float.NaN), (true, float.PositiveInfinity), (false, -2));
        var metrics = _ml.BinaryClassification.EvaluateNonCalibrated(data);
        Assert.Equal(1, metrics.Accuracy);
        Assert.Equal(2, metrics.ConfusionMatrix.Counts.Sum(row => row.Sum()));
    }

    [Fact]
    public void OneClassAloneHasNoAuc()
    {
        Assert.Contains("no positive class", Assert.Throws<ArgumentOutOfRangeException>(() =>
            _ml.BinaryClassification.EvaluateNonCalibrated(Load((false, 1)))).Message);
        Assert.Contains("no negative class", Assert.Throws<ArgumentOutOfRangeException>(() =>
            _ml.BinaryClassification.EvaluateNonCalibrated(Load((true, 1)))).Message);
    }

    [Fact]
    public void ColumnsThatAreMissingOrOfAnotherTypeAreNamed()
    {
        Assert.StartsWith("Could not find label column 'Nope'",
            Assert.Throws<ArgumentOutOfRangeException>(() => _ml.BinaryClassification.Evaluate(Load(), "Nope")).Message);
        Assert.StartsWith("Schema mismatch for score column 'Label': expected Single, got Boolean",
            Assert.Throws<ArgumentOutOfRangeException>(() => _ml.BinaryClassification.Evaluate(Load(), scoreColumnName: "Label")).Message);
    }

    private class Ranked
    {
        public float Label { get; set; }
        [KeyType(100)] public uint GroupId { get; set; }
        public float Score { get; set; }
    }

    private RankingMetrics Rank(RankingEvaluatorOptions options, params (uint Group, float Label, float Score)[] rows) =>
        _ml.Ranking.Evaluate(
        _ml.Data.LoadFromEnumerable(rows.Select(row => new Ranked { GroupId = row.Group, Label = row.Label, Score = row.Score })), options);

    [Fact]
    public void GainsAreDiscountedByRankAndAveragedOverGroups()
    {
        var metrics = Rank(new(), (1, 0, 0.9f), (1, 4, 0.5f), (2, 2, 1), (2, 1, 0));
        double first = 0, second = 31 / Math.Log(3), ideal = 31 / Math.Log(2), other = 7 / Math.Log(2), otherBoth = other + 3 / Math.Log(3);
        Assert.Equal([(first + other) / 2, (second + otherBoth) / 2, (second + otherBoth) / 2], metrics.DiscountedCumulativeGains);
        Assert.Equal([0.5, (second / ideal + 1) / 2, (second / ideal + 1) / 2], metrics.NormalizedDiscountedCumulativeGains);
    }

    [Fact]
    public void AmongEqualScoresTheWorstOrderCounts() =>
        Assert.Equal(0, Rank(new() { DcgTruncationLevel = 1 }, (1, 4, 0.5f), (1, 0, 0.5f)).NormalizedDiscountedCumulativeGains.Single());

    [Fact]
    public void OptionsAreChecked()
    {
        Assert.Equal("DcgTruncationLevel", Assert.Throws<ArgumentOutOfRangeException>(() => Rank(new() { DcgTruncationLevel = 11 }))
            .ParamName);
        Assert.Throws<InvalidOperationException>(() => Rank(new(), (1, 5, 1)));
        Assert.StartsWith("Schema mismatch for group column 'Score': expected Key, got Single",
            Assert.Throws<ArgumentOutOfRangeException>(() =>
            _ml.Ranking.Evaluate(_ml.Data.LoadFromEnumerable(new Ranked[1]), rowGroupColumnName: "Score")).Message);
    }
}
