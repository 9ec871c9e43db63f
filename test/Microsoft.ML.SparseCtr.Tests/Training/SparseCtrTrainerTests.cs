using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.SparseCtr.Tests;

public class SparseCtrTrainerTests(TrainedModel trained) : IClassFixture<TrainedModel>
{
    private readonly MLContext _mlContext = new(seed: 1);

    [Fact]
    public void It_learns_what_the_history_says()
    {
        CtrMetrics metrics = trained.MLContext.Ranking.EvaluateCtr(trained.Model.Transform(trained.TestView));
        Assert.InRange(metrics.AreaUnderRocCurve, 0.85, 1);
    }

    [Fact]
    public void ML_NETs_own_evaluator_takes_its_scores()
    {
        CalibratedBinaryClassificationMetrics metrics = trained.MLContext.BinaryClassification.Evaluate(trained.Model.Transform(trained.TestView));
        Assert.InRange(metrics.AreaUnderRocCurve, 0.85, 1);
        Assert.InRange(metrics.Accuracy, 0.8, 1);
    }

    [Fact]
    public void Every_epoch_is_logged_with_loss_AUC_and_speed()
        => Assert.Contains(trained.Log, line => System.Text.RegularExpressions.Regex.IsMatch(
            line, @"SparseCtrTrainer.*Epoch 1/12: loss 0\.\d+, validation AUC 0\.\d+ \(best\), [\d,]+ rows/s"));

    [Fact]
    public void Progress_is_told_for_every_step_and_every_epoch()
    {
        int epochs = trained.Progress.Count(report => report.EpochCompleted);
        Assert.InRange(epochs, 1, 12);
        Assert.Equal(epochs * trained.Progress[0].StepsPerEpoch, trained.Progress.Count(report => !report.EpochCompleted));
        Assert.All(trained.Progress, report => Assert.InRange(report.RowsPerSecond, 1, double.MaxValue));
        Assert.Contains(trained.Progress, report => report is { EpochCompleted: true, IsBest: true, ValidationAuc: > 0.5 });
    }

    [Fact]
    public void Rows_of_one_group_are_trained_as_one_request()
    {
        TinyClicks.Row[] rows = TinyClicks.Rows(400);
        foreach (TinyClicks.Row[] pair in rows.Chunk(2))
            (pair[1].HistoryItem, pair[1].HistoryKind, pair[1].HistoryAction, pair[1].HistoryTimestamp) = (pair[0].HistoryItem, pair[0].HistoryKind, pair[0].HistoryAction, pair[0].HistoryTimestamp);
        SparseCtrTrainer.Options options = TinyClicks.Options();
        options.RowGroupColumnName = "Request";
        options.BatchSize = 10;
        options.ValidationFraction = 0;
        var reports = new List<TrainingProgress>();

        TinyClicks.Keys(_mlContext).Append(_mlContext.Ranking.Trainers.SparseCtr(options, new DirectProgress(reports.Add))).Fit(TinyClicks.View(_mlContext, rows));

        Assert.Equal(20, reports[0].StepsPerEpoch);
    }

    [Fact]
    public void Rows_whose_group_is_missing_are_requests_of_their_own()
    {
        SparseCtrTrainer.Options options = TinyClicks.Options();
        (options.RowGroupColumnName, options.BatchSize, options.ValidationFraction, options.NumberOfEpochs) = ("Request", 10, 0, 1);
        var reports = new List<TrainingProgress>();
        IDataView rows = Keyed(TinyClicks.Rows(100));
        // Of no row the request is among these keys.
        IDataView missing = _mlContext.Transforms.Conversion.MapValueToKey("Request").Fit(_mlContext.Data.LoadFromEnumerable([new TinyClicks.Row { Request = -1 }])).Transform(rows);
        _mlContext.Ranking.Trainers.SparseCtr(options, new DirectProgress(reports.Add)).Fit(missing);
        Assert.Equal(10, reports[0].StepsPerEpoch);
    }

    [Fact]
    public void A_training_whose_weights_become_infinite_in_its_last_step_says_so()
    {
        SparseCtrTrainer.Options options = TinyClicks.Options();
        (options.BatchSize, options.NumberOfEpochs, options.ValidationFraction, options.LearningRate) = (100, 1, 0, 1e39);
        string message = Assert.Throws<InvalidOperationException>(() => TinyClicks.Fit(_mlContext, TinyClicks.Rows(100), options)).Message;
        Assert.Equal("Training diverged: weights are no numbers any more after epoch 1. Lower LearningRate (1E+39).", message);
    }

    [Fact]
    public void Rows_of_one_group_must_have_one_history()
    {
        SparseCtrTrainer.Options options = TinyClicks.Options();
        options.RowGroupColumnName = "Request";
        var problem = Assert.Throws<InvalidOperationException>(() => TinyClicks.Fit(_mlContext, TinyClicks.Rows(20), options));
        Assert.Contains("'Request'", problem.Message);
    }

    [Fact]
    public void A_validation_set_of_ones_own_chooses_the_best_epoch()
    {
        IDataView keyed = Keyed(TinyClicks.Rows(600)), validation = Keyed(TinyClicks.Rows(100, seed: 5));
        var reports = new List<TrainingProgress>();
        using CtrTransformer model = _mlContext.Ranking.Trainers.SparseCtr(TinyClicks.Options(), new DirectProgress(reports.Add)).Fit(keyed, validation);
        double best = reports.Max(report => report.ValidationAuc ?? 0);
        Assert.Equal(best, _mlContext.Ranking.EvaluateCtr(model.Transform(validation)).AreaUnderRocCurve, 1e-3);
    }

    [Fact]
    public void Training_stops_when_validation_no_longer_improves()
    {
        SparseCtrTrainer.Options options = TinyClicks.Options();
        (options.NumberOfEpochs, options.EarlyStoppingPatience) = (200, 1);
        var reports = new List<TrainingProgress>();
        TinyClicks.Keys(_mlContext).Append(_mlContext.Ranking.Trainers.SparseCtr(options, new DirectProgress(reports.Add)))
            .Fit(TinyClicks.View(_mlContext, TinyClicks.Rows(400)));
        Assert.InRange(reports[^1].Epoch, 1, 199);
    }

    [Fact]
    public void A_Single_label_and_DateTime_columns_do_as_well()
    {
        var rows = TinyClicks.Rows(300).Select(row => new
        {
            Clicked = row.Label ? 1f : 0f,
            row.Item, row.HistoryItem,
            When = DateTimeOffset.FromUnixTimeSeconds(row.Timestamp).UtcDateTime,
            Then = row.HistoryTimestamp.Select(time => DateTimeOffset.FromUnixTimeSeconds(time).UtcDateTime).ToArray(),
        });
        SparseCtrTrainer trainer = _mlContext.Ranking.Trainers.SparseCtr("Clicked", timestampColumnName: "When", historyTimestampColumnName: "Then");
        IDataView view = _mlContext.Data.LoadFromEnumerable(rows.ToList());
        IEstimator<ITransformer> keys = _mlContext.Transforms.Conversion.MapValueToKey(
            [new InputOutputColumnPair("Item"), new InputOutputColumnPair("HistoryItem")],
            keyData: _mlContext.Data.LoadFromEnumerable(rows.Select(row => new { row.Item }).Distinct().ToList()));
        ITransformer model = keys.Append(trainer).Fit(view);
        Assert.All(model.Transform(view).GetColumn<float>("Probability").Take(5), probability => Assert.InRange(probability, 0, 1));
    }

    [Fact]
    public void Training_ends_where_the_token_says_so()
    {
        using var source = new CancellationTokenSource();
        SparseCtrTrainer trainer = _mlContext.Ranking.Trainers.SparseCtr(TinyClicks.Options(), new DirectProgress(_ => source.Cancel()), source.Token);
        Assert.Throws<OperationCanceledException>(() => TinyClicks.Keys(_mlContext).Append(trainer).Fit(TinyClicks.View(_mlContext, TinyClicks.Rows(400))));
    }

    [Fact]
    public void Rows_with_NaN_are_skipped_with_one_warning_that_counts_them()
    {
        TinyClicks.Row[] rows = TinyClicks.Rows(200);
        (rows[3].Price, rows[50].Price) = (float.NaN, float.PositiveInfinity);
        var warnings = new List<string>();
        _mlContext.Log += (_, message) =>
        {
            if (message.Kind == ChannelMessageKind.Warning)
                warnings.Add(message.RawMessage);
        };
        TinyClicks.Fit(_mlContext, rows);
        Assert.Equal("Skipped 2 rows with a missing label or number during training.", Assert.Single(warnings));
    }

    private IDataView Keyed(TinyClicks.Row[] rows)
    {
        IDataView view = TinyClicks.View(_mlContext, rows);
        // HistoryAction and Gender have the same values in any sample, so that mappings fitted apart agree.
        return TinyClicks.Keys(_mlContext).Fit(TinyClicks.View(_mlContext, TinyClicks.Rows(600))).Transform(view);
    }
}
