using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;

namespace Microsoft.ML.SparseCtr.Tests;

public class CtrMetricsTests
{
    private readonly MLContext _mlContext = new(seed: 1);

    private sealed record Row
    {
        public float Label { get; init; }
        public float Score { get; init; }
        public float Probability { get; init; }
        public string User { get; init; } = "";
        public long Request { get; init; }
    }

    [Fact]
    public void Scores_alone_do_where_there_are_no_probabilities()
    {
        IDataView view = _mlContext.Data.LoadFromEnumerable(new[] { new { Label = true, Score = 3f }, new { Label = false, Score = -5f } });
        CtrMetrics metrics = _mlContext.Ranking.EvaluateCtr(view, probabilityColumnName: null);
        Assert.Equal(1, metrics.AreaUnderRocCurve);
        Assert.Equal(double.NaN, metrics.LogLoss);
        Assert.Equal("no probability column was given", metrics.UndefinedReasons[nameof(CtrMetrics.Calibration)]);
        Assert.Empty(metrics.ReliabilityBins);
    }

    [Fact]
    public void Agrees_with_scikit_learn()
    {
        float[] labels = [1, 0, 1, 0, 0, 1, 0, 1, 0, 0, 0, 1];
        float[] predictions = [0.9f, 0.8f, 0.8f, 0.7f, 0.5f, 0.5f, 0.5f, 0.3f, 0.2f, 0.1f, 0, 0];
        Row[] rows = labels.Zip(predictions, (label, p) => new Row { Label = label, Score = p, Probability = p }).ToArray();

        CtrMetrics metrics = Evaluate(rows, truncationLevel: 3, numberOfBins: 3);
        Assert.Equal(0.6, metrics.AreaUnderRocCurve, 1e-12);                                        // roc_auc_score
        Assert.Equal(0.6, metrics.GroupAreaUnderRocCurve, 1e-12);
        Assert.Equal(1.8913515394, metrics.LogLoss, 1e-7);                                          // log_loss
        Assert.Equal(2.7847030198, metrics.NormalizedEntropy, 1e-7);
        Assert.Equal(1.06, metrics.Calibration, 1e-7);
        Assert.Equal(0.7346393630113782, metrics.NormalizedDiscountedCumulativeGain, 1e-12);        // ndcg_score, k=3
        Assert.Equal(0.614948849029896, Evaluate(rows, truncationLevel: 6).NormalizedDiscountedCumulativeGain, 1e-12);
        Assert.Equal(0.8527566359672826, Evaluate(rows, truncationLevel: int.MaxValue).NormalizedDiscountedCumulativeGain, 1e-12);
        Assert.Equal([0.25, 0.5, 0.5], metrics.ReliabilityBins.Select(bin => bin.ObservedRate));    // calibration_curve, quantile
        Assert.Equal([0.075, 0.45, 0.8], metrics.ReliabilityBins.Select(bin => Math.Round(bin.MeanPrediction, 6)));
        Assert.Equal((0.175 + 0.05 + 0.3) / 3, metrics.ExpectedCalibrationError, 1e-7);
    }

    [Fact]
    public void AUC_is_the_share_of_pairs_won_with_ties_counted_half() => ForAll(rows =>
        Assert.Equal(ShareOfPairsWon(rows), Evaluate(rows).AreaUnderRocCurve, 1e-12));

    [Fact]
    public void GAUC_weighs_groups_by_rows_and_leaves_out_those_of_one_class() => ForAll(rows =>
    {
        var groups = rows.GroupBy(row => row.User).Select(group => (Auc: ShareOfPairsWon(group), Rows: group.Count())).ToList();
        var defined = groups.Where(group => !double.IsNaN(group.Auc)).ToList();
        CtrMetrics metrics = Evaluate(rows);
        double expected = defined.Sum(group => group.Auc * group.Rows) / defined.Sum(group => group.Rows);
        Assert.Equal(expected, metrics.GroupAreaUnderRocCurve, 1e-12);
        Assert.Equal((groups.Count, groups.Count - defined.Count), (metrics.NumberOfGroups, metrics.NumberOfUndefinedGroups));
    });

    [Fact]
    public void NDCG_and_MRR_are_means_over_the_lists_with_a_click_and_over_all_orders_of_the_tied() => ForAll(rows =>
    {
        const int truncationLevel = 3;
        ILookup<bool, List<Row>> lists = rows.GroupBy(row => row.Request).Select(list => list.ToList())
            .ToLookup(list => list.Any(row => row.Label == 1));
        CtrMetrics metrics = Evaluate(rows, truncationLevel);
        Assert.Equal(Mean(Ndcg), metrics.NormalizedDiscountedCumulativeGain, 1e-12);
        Assert.Equal(Mean(ReciprocalRank), metrics.MeanReciprocalRank, 1e-12);
        Assert.Equal((lists.Sum(list => list.Count()), lists[false].Count()), (metrics.NumberOfLists, metrics.NumberOfListsWithoutClicks));

        double Mean(Func<List<Row>, double> metric)
            => lists[true].Select(list => MeanOverOrders(list, metric)).DefaultIfEmpty(double.NaN).Average();
        static double MeanOverOrders(List<Row> list, Func<List<Row>, double> metric)
            => Orders(list).Average(order => metric(order.OrderByDescending(row => row.Score).ToList()));   // which is stable
        static double Ndcg(List<Row> list) => Dcg(list) / Dcg(list.OrderByDescending(row => row.Label));
        static double Dcg(IEnumerable<Row> list) => list.Take(truncationLevel).Select((row, i) => row.Label / Math.Log2(i + 2)).Sum();
        static double ReciprocalRank(List<Row> list) => 1.0 / (1 + list.FindIndex(row => row.Label == 1));
    });

    [Fact]
    public void Only_the_order_of_the_scores_ranks() => ForAll(rows =>
    {
        float[] higher = [float.NegativeInfinity, -7, 0, 1e-30f, float.PositiveInfinity];
        AssertSame(Evaluate(rows), Evaluate(rows.Select(row => row with { Score = higher[(int)row.Score] }).ToArray()));
    });

    [Fact]
    public void The_order_of_the_rows_does_not_matter() => ForAll(rows =>
        AssertSame(Evaluate(rows), Evaluate(rows.OrderBy(row => row.Probability).ThenBy(row => row.Score).Reverse().ToArray())));

    [Fact]
    public void Zero_and_negative_zero_are_equal()
    {
        CtrMetrics metrics = Evaluate([new() { Label = 1, Score = -0f, Probability = -0f }, new() { Score = 0, Probability = 0 }]);
        Assert.Equal((0.5, 1), (metrics.AreaUnderRocCurve, metrics.ReliabilityBins.Count));
    }

    [Fact]
    public void MRR_expects_the_first_click_of_a_tie_anywhere_in_it()
    {
        Assert.Equal((1 / 2.0 + 1 / 3.0 + 1 / 4.0) / 3, Evaluate(
            [new() { Score = 2 }, new() { Score = 1 }, new() { Score = 1, Label = 1 }, new() { Score = 1 }]).MeanReciprocalRank, 1e-12);
        Row[] manyTied = Enumerable.Range(0, 10_000).Select(i => new Row { Label = i == 5_000 ? 1 : 0 }).ToArray();
        Assert.Equal(Enumerable.Range(1, 10_000).Average(rank => 1.0 / rank), Evaluate(manyTied).MeanReciprocalRank, 1e-12);
    }

    [Fact]
    public void Reliability_bins_partition_the_rows_by_prediction() => ForAll(rows =>
    {
        IReadOnlyList<ReliabilityBin> bins = Evaluate(rows, numberOfBins: 3).ReliabilityBins;
        Assert.InRange(bins.Count, rows.Length == 0 ? 0 : 1, 3);
        Assert.Equal(rows.Length, bins.Sum(bin => bin.NumberOfRows));
        Assert.All(bins.Zip(bins.Skip(1)), pair => Assert.True(pair.First.Upper < pair.Second.Lower));
        Assert.All(bins, bin =>
        {
            Row[] inBin = rows.Where(row => row.Probability >= bin.Lower && row.Probability <= bin.Upper).ToArray();
            Assert.Equal(inBin.Length, bin.NumberOfRows);
            Assert.Equal((inBin.Min(row => row.Probability), inBin.Max(row => row.Probability)), (bin.Lower, bin.Upper));
            Assert.Equal(inBin.Average(row => (double)row.Probability), bin.MeanPrediction, 1e-12);
            Assert.Equal(inBin.Average(row => (double)row.Label), bin.ObservedRate, 1e-12);
        });
    });

    [Fact]
    public void Reliability_bins_have_about_equally_many_rows_however_small_the_predictions()
    {
        Row[] rows = Enumerable.Range(1, 10_000).Select(i => new Row { Probability = MathF.Exp(-i / 500f) }).ToArray();
        Assert.All(Evaluate(rows).ReliabilityBins, bin => Assert.InRange(bin.NumberOfRows, 995, 1005));
    }

    [Fact]
    public void Log_loss_is_in_nats_and_finite_even_where_a_prediction_was_certain_and_wrong()
    {
        Row[] rows = [new() { Label = 1, Probability = 0.8f }, new() { Probability = 0.25f }];
        Assert.Equal(-(Math.Log(0.8) + Math.Log(1 - 0.25)) / 2, Evaluate(rows).LogLoss, 1e-7);
        Assert.Equal(-Math.Log(1.1920929e-7), Evaluate([new() { Label = 1, Probability = 0 }]).LogLoss, 1e-6);
        Assert.Equal(-Math.Log(1.1920929e-7), Evaluate([new() { Label = 0, Probability = 1 }]).LogLoss, 1e-6);
    }

    [Fact]
    public void What_the_data_leaves_undefined_is_NaN_and_says_why()
    {
        const string auc = nameof(CtrMetrics.AreaUnderRocCurve), gauc = nameof(CtrMetrics.GroupAreaUnderRocCurve),
            ndcg = nameof(CtrMetrics.NormalizedDiscountedCumulativeGain), mrr = nameof(CtrMetrics.MeanReciprocalRank),
            logLoss = nameof(CtrMetrics.LogLoss), entropy = nameof(CtrMetrics.NormalizedEntropy),
            calibration = nameof(CtrMetrics.Calibration), error = nameof(CtrMetrics.ExpectedCalibrationError);
        Row click = new() { Label = 1, User = "a" }, other = new() { User = "b" }, unlabeled = new() { Label = float.NaN };

        string[] all = [auc, gauc, ndcg, mrr, logLoss, entropy, calibration, error];
        AssertUndefined(Evaluate([]), "there are no rows with a label", all);
        AssertUndefined(Evaluate([unlabeled]), "there are no rows with a label", all);
        AssertUndefined(Evaluate([other, other]), "there are no clicks", auc, gauc, ndcg, mrr, entropy, calibration);
        AssertUndefined(Evaluate([click, click]), "every row is a click", auc, gauc, entropy);
        AssertUndefined(Evaluate([click, other]), "no group has both clicks and non-clicks", gauc);
        CtrMetrics ungrouped = _mlContext.Ranking.EvaluateCtr(_mlContext.Data.LoadFromEnumerable([click, other]));
        AssertUndefined(ungrouped, "no group column was given", gauc);
        AssertUndefined(ungrouped, "no row group column was given", ndcg, mrr);
        Assert.Equal((0.5, 0, 0), (ungrouped.AreaUnderRocCurve, ungrouped.NumberOfGroups, ungrouped.NumberOfLists));

        static void AssertUndefined(CtrMetrics metrics, string reason, params string[] undefined)
        {
            Assert.Equal(undefined.Order(), metrics.UndefinedReasons.Where(pair => pair.Value == reason).Select(pair => pair.Key).Order());
            var notANumber = typeof(CtrMetrics).GetProperties().Where(property => property.GetValue(metrics) is double.NaN);
            Assert.Equal(notANumber.Select(property => property.Name).Order(), metrics.UndefinedReasons.Keys.Order());
        }
    }

    [Fact]
    public void Rows_without_a_label_are_left_out_whatever_else_they_hold()
    {
        Row click = new() { Label = 1, Score = 1 }, unlabeled = new() { Label = float.NaN, Score = float.NaN, Probability = 7 };
        CtrMetrics metrics = Evaluate([click, unlabeled, new()]);
        Assert.Equal((2, 1, 1.0), (metrics.NumberOfRows, metrics.NumberOfRowsWithoutLabel, metrics.AreaUnderRocCurve));
    }

    [Fact]
    public void Predictions_that_are_none_are_errors()
    {
        Row fine = new(), noScore = new() { Score = float.NaN }, noProbability = new() { Probability = float.NaN };
        Row above = new() { Probability = 1.5f }, below = new() { Probability = -1 };
        Assert.Equal("Score column 'Score' is NaN in 2 of 3 rows with a label.", Message(noScore, fine, noScore));
        Assert.Equal("Probability column 'Probability' is NaN in 1 of 2 rows with a label.", Message(fine, noProbability));
        Assert.Equal("Probability column 'Probability' must be from 0 to 1; row 1 has 1.5.", Message(fine, above, below));

        string Message(params Row[] rows) => Assert.Throws<InvalidOperationException>(() => Evaluate(rows)).Message;
    }

    [Fact]
    public void A_bad_argument_is_named()
    {
        IDataView view = _mlContext.Data.LoadFromEnumerable(new List<Row>());
        RankingCatalog ranking = _mlContext.Ranking;
        Assert.Contains("Could not find score column 'Nope'", Error(() => ranking.EvaluateCtr(view, scoreColumnName: "Nope")).Message);
        Assert.Contains("for group column 'Score': expected a key", Error(() => ranking.EvaluateCtr(view, groupColumnName: "Score")).Message);
        Assert.Contains("for row group column 'Score': expected", Error(() => ranking.EvaluateCtr(view, rowGroupColumnName: "Score")).Message);
        Assert.Equal("truncationLevel", Error(() => ranking.EvaluateCtr(view, truncationLevel: 0)).ParamName);
        Assert.Equal("numberOfBins", Error(() => ranking.EvaluateCtr(view, numberOfBins: 0)).ParamName);

        static ArgumentOutOfRangeException Error(Action evaluate) => Assert.Throws<ArgumentOutOfRangeException>(evaluate);
    }

    [Fact]
    public void ToString_is_a_table_with_reasons_and_ToJson_is_for_tools()
    {
        Row click = new() { Label = 1, Score = 2, Probability = 0.5f }, other = new() { Score = 1, Probability = 0.25f };
        IDataView view = _mlContext.Data.LoadFromEnumerable([click, other, new Row { Label = float.NaN }]);
        CtrMetrics metrics = _mlContext.Ranking.EvaluateCtr(view, groupColumnName: "User", truncationLevel: 5);
        Assert.Equal("""
            rows                                 2  1 clicks; without a label, left out: 1
            AUC                             1.0000
            GAUC                            1.0000  1 groups; of one class, left out: 0
            NDCG@5                             NaN  no row group column was given
            MRR                                NaN  no row group column was given
            log loss                        0.4904
            normalized entropy              0.7075
            calibration                     0.7500  mean prediction / click rate
            calibration error (ECE)         0.3750
              0.250000 to 0.250000               1  predicted 0.250000, observed 0.000000
              0.500000 to 0.500000               1  predicted 0.500000, observed 1.000000
            """, metrics.ToString(), ignoreLineEndingDifferences: true);

        JsonElement json = JsonDocument.Parse(metrics.ToJson()).RootElement;
        Assert.Equal(1, json.GetProperty("areaUnderRocCurve").GetDouble());
        Assert.Equal(JsonValueKind.Null, json.GetProperty("meanReciprocalRank").ValueKind);
        Assert.Equal("no row group column was given", json.GetProperty("undefinedReasons").GetProperty("meanReciprocalRank").GetString());
        Assert.Equal([0.25, 0.5], json.GetProperty("reliabilityBins").EnumerateArray()
            .Select(bin => bin.GetProperty("meanPrediction").GetDouble()));
    }

    [Fact]
    public void Rows_of_known_number_take_8_bytes_each_per_grouping()
    {
        const int rows = 1_000_000;
        IDataView view = _mlContext.Data.LoadFromEnumerable(Enumerable.Repeat(new Row { User = "a" }, rows).ToList());
        long before = GC.GetTotalAllocatedBytes(precise: true);
        _mlContext.Ranking.EvaluateCtr(view, groupColumnName: "User", rowGroupColumnName: "Request");
        Assert.InRange(GC.GetTotalAllocatedBytes(precise: true) - before, 16L * rows, 16L * rows + 2_000_000);
    }

    [Fact]
    public void Ten_million_rows_of_unknown_number_take_less_than_30_bytes_each_in_all()
    {
        const int rows = 10_000_000;
        IDataView view = _mlContext.Data.LoadFromEnumerable(Rows());
        long before = GC.GetTotalAllocatedBytes(precise: true);
        CtrMetrics metrics = _mlContext.Ranking.EvaluateCtr(view, groupColumnName: "User");
        Assert.InRange(GC.GetTotalAllocatedBytes(precise: true) - before, 8L * rows, 30L * rows);
        Assert.Equal((rows, 100_000), (metrics.NumberOfRows, metrics.NumberOfGroups));
        Assert.Equal(1, metrics.Calibration, 0.01);
        Assert.Equal(5 / 6.0, metrics.AreaUnderRocCurve, 1e-3);     // predictions p of density 2p for clicks, 2(1 - p) for others

        static IEnumerable<BigRow> Rows()
        {
            var random = new Random(1);
            var row = new BigRow();
            for (int i = 0; i < rows; i++)
            {
                row.Score = row.Probability = random.NextSingle();
                row.Label = random.NextSingle() < row.Probability;
                row.User = (uint)i % 100_000;
                yield return row;
            }
        }
    }

    private sealed class BigRow
    {
        public bool Label { get; set; }
        public float Score { get; set; }
        public float Probability { get; set; }
        public uint User { get; set; }
    }

    private CtrMetrics Evaluate(Row[] rows, int truncationLevel = 10, int numberOfBins = 10) => _mlContext.Ranking.EvaluateCtr(
        _mlContext.Data.LoadFromEnumerable(rows), groupColumnName: "User", rowGroupColumnName: "Request",
        truncationLevel: truncationLevel, numberOfBins: numberOfBins);

    /// <summary>Up to 12 rows with ties, of up to 4 users and 3 requests.</summary>
    private static void ForAll(Action<Row[]> law)
    {
        Gen<Row> row = from score in Gen.Choose(0, 4)
                       from label in Gen.Choose(0, 1)
                       from probability in Gen.Choose(0, 8)
                       from user in Gen.Elements("a", "b", "c", "d")
                       from request in Gen.Choose(0, 2)
                       select new Row { Label = label, Score = score, Probability = probability / 8f, User = user, Request = request };
        Gen<Row[]> rows = Gen.Choose(0, 12).SelectMany(count => row.ArrayOf(count))
            .Where(rows => rows.GroupBy(row => row.Request).All(list => list.Count() <= 6));     // whose orders are to be tried
        Check.One(Config.QuickThrowOnFailure, Prop.ForAll(rows.ToArbitrary(), law));
    }

    private static double ShareOfPairsWon(IEnumerable<Row> rows)
    {
        var pairs = from click in rows where click.Label == 1 from other in rows where other.Label == 0
                    select click.Score > other.Score ? 1.0 : click.Score == other.Score ? 0.5 : 0;
        return pairs.DefaultIfEmpty(double.NaN).Average();
    }

    private static IEnumerable<IEnumerable<T>> Orders<T>(IReadOnlyCollection<T> items) => items.Count == 0
        ? [[]]
        : items.SelectMany((first, i) => Orders(items.Where((_, j) => j != i).ToList()).Select(rest => rest.Prepend(first)));

    private static void AssertSame(CtrMetrics expected, CtrMetrics actual)
    {
        foreach (var property in typeof(CtrMetrics).GetProperties().Where(property => property.PropertyType == typeof(double)))
            Assert.Equal((double)property.GetValue(expected)!, (double)property.GetValue(actual)!, 1e-12);
    }
}
