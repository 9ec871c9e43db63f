using Microsoft.ML.Data;

namespace Microsoft.ML.SparseCtr.Tests;

public class CtrTransformerTests(TrainedModel trained) : IClassFixture<TrainedModel>
{
    private readonly MLContext _mlContext = trained.MLContext;

    [Fact]
    public void It_adds_the_columns_of_ML_NETs_binary_scorers()
    {
        DataViewSchema schema = trained.Model.GetOutputSchema(trained.TestView.Schema);
        Assert.Equal(NumberDataViewType.Single, schema["Score"].Type);
        Assert.Equal(NumberDataViewType.Single, schema["Probability"].Type);
        Assert.Equal(BooleanDataViewType.Instance, schema["PredictedLabel"].Type);
        Assert.True(schema["Probability"].IsNormalized());
        Assert.False(schema["Score"].IsNormalized());
        ReadOnlyMemory<char> kind = default;
        schema["Score"].Annotations.GetValue("ScoreColumnKind", ref kind);
        Assert.Equal("BinaryClassification", kind.ToString());
    }

    [Fact]
    public void Probability_is_the_sigmoid_of_the_score_and_the_label_its_better_half()
        => Assert.All(TinyClicks.Predict(_mlContext, trained.Model, trained.TestRows), prediction =>
        {
            Assert.Equal(1 / (1 + Math.Exp(-prediction.Score)), prediction.Probability, 1e-6);
            Assert.Equal(prediction.Probability > 0.5, prediction.PredictedLabel);
        });

    [Fact]
    public void The_announced_schema_is_the_real_one()
    {
        SchemaShape announced = _mlContext.Ranking.Trainers.SparseCtr(TinyClicks.Options())
            .GetOutputSchema(Interop.MLNetInternals.ShapeOf(KeyedView().Schema));
        Assert.Equal(trained.Model.LastTransformer.GetOutputSchema(KeyedView().Schema).Select(column => column.Name).ToHashSet(), announced.Select(column => column.Name).ToHashSet());
    }

    [Fact]
    public void Nothing_is_scored_until_a_score_is_asked_for()
    {
        IDataView poisoned = PoisonedView();
        IDataView scored = trained.Model.LastTransformer.Transform(poisoned);
        Assert.Equal(3, scored.GetColumn<float>("Price").Count());
        Assert.Throws<InvalidOperationException>(() => scored.GetColumn<float>("Score").Count());
    }

    [Fact]
    public void Cursors_that_run_in_parallel_give_the_scores_of_one()
    {
        IDataView scored = trained.Model.Transform(_mlContext.Data.Cache(trained.TestView));
        Dictionary<long, float> expected = ReadCursor(scored.GetRowCursor([scored.Schema["Timestamp"], scored.Schema["Score"]]));

        DataViewRowCursor[] cursors = scored.GetRowCursorSet([scored.Schema["Timestamp"], scored.Schema["Score"]], 4);
        var actual = new System.Collections.Concurrent.ConcurrentDictionary<long, float>();
        Parallel.ForEach(cursors, cursor =>
        {
            foreach ((long time, float score) in ReadCursor(cursor))
                Assert.True(actual.TryAdd(time, score));
        });

        Assert.Equal(expected.Count, actual.Count);
        Assert.All(expected, pair => Assert.Equal(pair.Value, actual[pair.Key], 1e-5));
    }

    [Fact]
    public void A_prediction_engine_gives_the_scores_of_the_view()
    {
        using PredictionEngine<TinyClicks.Row, TinyClicks.Prediction> engine = _mlContext.Model.CreatePredictionEngine<TinyClicks.Row, TinyClicks.Prediction>(
            trained.Model, new PredictionEngineOptions { OwnsTransformer = false });
        TinyClicks.Prediction[] expected = TinyClicks.Predict(_mlContext, trained.Model, trained.TestRows);
        Assert.All(trained.TestRows.Zip(expected).Take(50), pair => Assert.Equal(pair.Second.Score, engine.Predict(pair.First).Score, 1e-5));
    }

    [Fact]
    public void Rows_of_one_request_get_the_scores_that_each_gets_alone()
    {
        // Requests of 1 to 30 rows, one of them with an empty history, and a neighbor with the same length of history but other items.
        TinyClicks.Row[] histories = TinyClicks.Rows(40, seed: 3);
        TinyClicks.Row[] rows = histories.SelectMany((history, i) => TinyClicks.Rows(1 + 7 * i % 30, seed: 100 + i).Select(row =>
        {
            (row.HistoryItem, row.HistoryKind, row.HistoryAction, row.HistoryTimestamp) = (history.HistoryItem, history.HistoryKind, history.HistoryAction, history.HistoryTimestamp);
            (row.Request, row.Timestamp) = (i, history.Timestamp);
            return row;
        })).ToArray();
        Assert.Contains(rows, row => row.HistoryItem.Length == 0);

        float[] together = TinyClicks.Predict(_mlContext, trained.Model, rows).Select(prediction => prediction.Score).ToArray();
        float[] alone = rows.Select(row => TinyClicks.Predict(_mlContext, trained.Model, [row])[0].Score).ToArray();
        Assert.All(alone.Zip(together), pair => Assert.Equal(pair.First, pair.Second, 1e-5));
    }

    [Fact]
    public void A_view_that_is_not_the_same_for_two_cursors_is_noticed()
    {
        int times = 0;
        IEnumerable<TinyClicks.Row> Changing() => TinyClicks.Rows(20, seed: 1).Skip(times++);
        ITransformer keys = TinyClicks.Keys(_mlContext).Fit(trained.TestView);
        IDataView scored = trained.Model.LastTransformer.Transform(keys.Transform(_mlContext.Data.LoadFromEnumerable(new Enumerations<TinyClicks.Row>(Changing))));
        Assert.Contains("not the same for two cursors", Assert.Throws<InvalidOperationException>(() => scored.GetColumn<float>("Score").ToArray()).Message);
    }

    /// <summary>Another sequence for each who asks.</summary>
    private sealed class Enumerations<T>(Func<IEnumerable<T>> next) : IEnumerable<T>
    {
        public IEnumerator<T> GetEnumerator() => next().GetEnumerator();

        System.Collections.IEnumerator System.Collections.IEnumerable.GetEnumerator() => GetEnumerator();
    }

    [Fact]
    public void A_shuffled_cursor_gives_each_row_its_own_score()
    {
        IDataView cached = _mlContext.Data.Cache(TinyClicks.Keys(_mlContext).Fit(trained.TestView).Transform(trained.TestView));
        IDataView scored = trained.Model.LastTransformer.Transform(cached);
        DataViewSchema.Column[] columns = [scored.Schema["Timestamp"], scored.Schema["Score"]];
        Dictionary<long, float> inOrder = ReadCursor(scored.GetRowCursor(columns)), shuffled = ReadCursor(scored.GetRowCursor(columns, new Random(1)));
        Assert.NotEqual(inOrder.Keys, shuffled.Keys);
        Assert.All(inOrder, pair => Assert.Equal(pair.Value, shuffled[pair.Key], 1e-5));
    }

    [Fact]
    public void Unseen_ids_and_empty_histories_are_scored()
    {
        TinyClicks.Row stranger = TinyClicks.Rows(1)[0];
        (stranger.Item, stranger.Kind, stranger.Gender) = ("never seen", "never seen", "x");
        (stranger.HistoryItem, stranger.HistoryKind, stranger.HistoryAction, stranger.HistoryTimestamp) = ([], [], [], []);
        Assert.InRange(TinyClicks.Predict(_mlContext, trained.Model, [stranger])[0].Probability, 0, 1);
    }

    [Fact]
    public void Only_the_latest_behaviors_count_where_a_history_is_longer_than_the_option()
    {
        SparseCtrTrainer.Options options = TinyClicks.Options();
        (options.HistoryLength, options.NumberOfEpochs) = (3, 1);
        using var model = TinyClicks.Fit(_mlContext, TinyClicks.Rows(100), options);
        TinyClicks.Row row = TinyClicks.Rows(50).First(one => one.HistoryItem.Length > 6);
        float before = TinyClicks.Predict(_mlContext, model, [row])[0].Score;

        row.HistoryItem[0] = "item 9";
        Assert.Equal(before, TinyClicks.Predict(_mlContext, model, [row])[0].Score);
        row.HistoryKind[^1] = row.HistoryKind[^1] == "kind 1" ? "kind 2" : "kind 1";
        Assert.NotEqual(before, TinyClicks.Predict(_mlContext, model, [row])[0].Score);
    }

    [Fact]
    public void A_view_with_other_keys_than_in_training_is_refused()
    {
        string[] columns = ["Item", "HistoryItem", "Kind", "HistoryKind", "HistoryAction", "Gender"];
        IDataView hashed = columns.Aggregate(trained.TestView,
            (view, column) => _mlContext.Transforms.Conversion.Hash(column, numberOfBits: 4).Fit(view).Transform(view));
        var problem = Assert.Throws<ArgumentOutOfRangeException>(() => trained.Model.LastTransformer.Transform(hashed));
        Assert.Contains("column 'Item': expected 20 keys, as in training, got 16", problem.Message);
    }

    [Fact]
    public void A_row_of_another_schema_is_refused()
    {
        CtrTransformer transformer = trained.Model.LastTransformer;
        IRowToRowMapper mapper = transformer.GetRowToRowMapper(KeyedView().Schema);
        using DataViewRowCursor cursor = KeyedView().GetRowCursor([]);
        Assert.Throws<ArgumentException>(() => mapper.GetRow(cursor, []));
    }

    [Fact]
    public void A_column_that_was_not_asked_for_has_no_getter()
    {
        IDataView scored = trained.Model.Transform(trained.TestView);
        using DataViewRowCursor cursor = scored.GetRowCursor([scored.Schema["Score"]]);
        Assert.True(cursor.IsColumnActive(scored.Schema["Score"]));
        Assert.False(cursor.IsColumnActive(scored.Schema["Probability"]));
        Assert.Throws<InvalidOperationException>(() => cursor.GetGetter<float>(scored.Schema["Probability"]));
        Assert.Throws<InvalidOperationException>(() => cursor.GetGetter<double>(scored.Schema["Score"]));
    }

    private IDataView KeyedView() => TinyClicks.Keys(_mlContext).Fit(trained.TestView).Transform(trained.TestView);

    /// <summary>Rows that cannot be scored: their histories are not in order.</summary>
    private IDataView PoisonedView()
    {
        TinyClicks.Row[] rows = TinyClicks.Rows(3);
        foreach (TinyClicks.Row row in rows)
        {
            (row.HistoryItem, row.HistoryKind, row.HistoryAction, row.HistoryTimestamp)
                = (["item 1", "item 1"], ["kind 1", "kind 1"], ["click", "click"], [9, 5]);
        }
        return TinyClicks.Keys(_mlContext).Fit(trained.TestView).Transform(TinyClicks.View(_mlContext, rows));
    }

    private static Dictionary<long, float> ReadCursor(DataViewRowCursor cursor)
    {
        using (cursor)
        {
            ValueGetter<long> readTime = cursor.GetGetter<long>(cursor.Schema["Timestamp"]);
            ValueGetter<float> readScore = cursor.GetGetter<float>(cursor.Schema["Score"]);
            var scores = new Dictionary<long, float>();
            while (cursor.MoveNext())
            {
                long time = 0;
                float score = 0;
                readTime(ref time);
                readScore(ref score);
                scores.Add(time, score);
            }
            return scores;
        }
    }
}
