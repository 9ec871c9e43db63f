using FsCheck;
using FsCheck.Fluent;

namespace Microsoft.ML.SparseCtr.Tests;

public class CtrMetricsTests
{
    private readonly MLContext _mlContext = new(seed: 1);

    private sealed class Row
    {
        public bool Label { get; set; }
        public float Score { get; set; }
        public float Probability { get; set; }
        public string User { get; set; } = "";
    }

    [Fact]
    public void AUC_is_the_share_of_pairs_won_with_ties_counted_half()
        => Check.One(Config.QuickThrowOnFailure, Prop.ForAll(
            Gen.Choose(0, 5).SelectMany(score => Gen.Choose(0, 1).Select(label => (Score: (float)score, Label: label == 1))).ArrayOf().ToArbitrary(), rows =>
            {
                var pairs = from click in rows where click.Label from other in rows where !other.Label
                            select click.Score > other.Score ? 1.0 : click.Score == other.Score ? 0.5 : 0;
                double expected = pairs.DefaultIfEmpty(double.NaN).Average();
                Assert.Equal(expected, RocCurve.Area(rows.Select(row => row.Score).ToArray(), rows.Select(row => row.Label).ToArray()), 1e-12);
            }));

    [Fact]
    public void GAUC_weighs_groups_by_rows_and_leaves_out_those_of_one_class()
    {
        CtrMetrics metrics = Evaluate(
            ("a", 0.9f, true), ("a", 0.1f, false),                       // AUC 1, 2 rows
            ("b", 0.2f, true), ("b", 0.4f, false), ("b", 0.6f, false),   // AUC 0, 3 rows
            ("c", 0.5f, true), ("c", 0.7f, true));                       // clicks only
        Assert.Equal(2.0 / 5, metrics.GroupAreaUnderRocCurve, 1e-12);
        Assert.Equal((3, 1), (metrics.NumberOfGroups, metrics.NumberOfUndefinedGroups));
    }

    [Fact]
    public void Log_loss_is_in_nats_and_finite_even_where_a_prediction_was_certain_and_wrong()
    {
        Assert.Equal(-(Math.Log(0.8) + Math.Log(1 - 0.25)) / 2, Evaluate(("a", 0.8f, true), ("a", 0.25f, false)).LogLoss, 1e-7);
        Assert.InRange(Evaluate(("a", 0f, true)).LogLoss, 16, 17);
    }

    [Fact]
    public void What_the_data_leaves_undefined_is_NaN()
    {
        Assert.Equal(double.NaN, Evaluate(("a", 0.5f, true)).AreaUnderRocCurve);
        Assert.Equal(double.NaN, Evaluate(("a", 0.5f, true)).GroupAreaUnderRocCurve);
        Assert.Equal(double.NaN, Evaluate().LogLoss);
        Assert.Equal(double.NaN, RocCurve.Area([float.NaN, 1], [true, false]));
    }

    [Fact]
    public void A_missing_column_is_named()
    {
        IDataView view = _mlContext.Data.LoadFromEnumerable(new List<Row>());
        Assert.Contains("Could not find score column 'Nope'", Assert.Throws<ArgumentOutOfRangeException>(() => _mlContext.Ranking.EvaluateCtr(view, scoreColumnName: "Nope")).Message);
        Assert.Contains("group column 'Score': expected a key", Assert.Throws<ArgumentOutOfRangeException>(() => _mlContext.Ranking.EvaluateCtr(view, groupColumnName: "Score")).Message);
    }

    private CtrMetrics Evaluate(params (string User, float Probability, bool Label)[] rows) => _mlContext.Ranking.EvaluateCtr(
        _mlContext.Data.LoadFromEnumerable(rows.Select(row => new Row { Label = row.Label, Score = row.Probability, Probability = row.Probability, User = row.User }).ToList()),
        groupColumnName: "User");
}
