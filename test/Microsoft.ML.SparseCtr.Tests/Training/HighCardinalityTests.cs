using Microsoft.ML.Data;

namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>Vocabularies of which training sees a part, and vocabularies of ten million items.</summary>
public class HighCardinalityTests
{
    private const int TenMillion = 10_000_000;

    private readonly MLContext _mlContext = new(seed: 1);

    [Fact]
    public void An_item_that_is_in_the_key_data_but_not_in_training_is_scored_as_a_missing_one()
    {
        const string unseen = "item 19";
        TinyClicks.Row[] rows = TinyClicks.Rows(400).Where(row => row.Item != unseen && !row.HistoryItem.Contains(unseen)).ToArray();
        using TransformerChain<CtrTransformer> model = TinyClicks.Fit(_mlContext, rows, FewEpochs());
        AssertScoresAsMissing(model, unseen, missing: "not in the key data", seen: "item 7");
    }

    [Fact]
    public void A_hash_that_training_did_not_meet_is_scored_as_a_missing_one()
    {
        using TransformerChain<CtrTransformer> model = FitHashed(numberOfBits: 12, FewEpochs());
        AssertScoresAsMissing(model, "never seen", missing: "", seen: "item 7");
    }

    [Fact]
    public void An_item_of_validation_alone_does_not_count_as_seen()
    {
        const string late = "item 19";
        TinyClicks.Row[] rows = TinyClicks.Rows(400);
        rows = [.. rows.Where(row => row.Item != late && !row.HistoryItem.Contains(late)), rows.Last(row => row.Item == late)];
        using TransformerChain<CtrTransformer> model = TinyClicks.Fit(_mlContext, rows, FewEpochs());
        AssertScoresAsMissing(model, late, missing: "not in the key data", seen: "item 7");
    }

    [Fact]
    public void What_the_history_says_is_learned_through_hashed_items_too()
    {
        SparseCtrTrainer.Options options = TinyClicks.Options();
        options.MaximumTableRows = 8;
        using TransformerChain<CtrTransformer> model = TinyClicks.Fit(_mlContext, TinyClicks.Rows(4_000), options);
        CtrMetrics metrics = _mlContext.Ranking.EvaluateCtr(model.Transform(TinyClicks.View(_mlContext, TinyClicks.Rows(300, seed: 2))));
        Assert.InRange(metrics.AreaUnderRocCurve, 0.85, 1);
    }

    [Fact]
    public void Two_tables_of_40_rows_learn_200_items_each_clicked_or_not()
    {
        const int items = 200;
        var random = new Random(1);
        bool[] isLiked = Enumerable.Range(0, items).Select(_ => random.Next(2) == 0).ToArray();
        var options = new SparseCtrTrainer.Options { MaximumTableRows = 40, NumberOfEpochs = 6, LearningRate = 1e-2 };
        using CtrTransformer model = _mlContext.Ranking.Trainers.SparseCtr(options).Fit(Rows(4_000));
        Assert.InRange(_mlContext.Ranking.EvaluateCtr(model.Transform(Rows(1_000))).AreaUnderRocCurve, 0.95, 1);

        IDataView Rows(int count) => _mlContext.Data.LoadFromEnumerable(Enumerable.Range(0, count).Select(i =>
        {
            int item = random.Next(items);
            return new Row { Label = isLiked[item], Timestamp = i, Item = (uint)item + 1 };
        }).ToList());
    }

    [Theory]
    [InlineData(null)]
    [InlineData(100_000)]
    public void Ten_million_items_are_trained_saved_loaded_and_scored(int? maximumTableRows)
    {
        var random = new Random(1);
        IDataView view = _mlContext.Data.LoadFromEnumerable(Enumerable.Range(0, 200).Select(i => new Row
        {
            Label = i % 3 == 0,
            Timestamp = 1_000 + i,
            Item = (uint)random.Next(TenMillion + 1),
            HistoryItem = [(uint)random.Next(TenMillion + 1), TenMillion],
            HistoryTimestamp = [i, 2 * i],
        }).ToList());
        var options = new SparseCtrTrainer.Options { EmbeddingDimension = 4, NumberOfEpochs = 1, MaximumTableRows = maximumTableRows };
        using CtrTransformer model = _mlContext.Ranking.Trainers.SparseCtr(options).Fit(view);

        using var file = new MemoryStream();
        _mlContext.Model.Save(model, view.Schema, file);
        ITransformer loaded = _mlContext.Model.Load(file, out _);
        using var ownsTables = (IDisposable)loaded;

        Assert.Equal(model.Transform(view).GetColumn<float>("Score"), loaded.Transform(view).GetColumn<float>("Score"));
    }

    [Fact]
    public void A_billion_hashes_fit_into_small_tables()
    {
        SparseCtrTrainer.Options options = FewEpochs();
        options.MaximumTableRows = 1_000;
        using TransformerChain<CtrTransformer> model = FitHashed(numberOfBits: 30, options);
        Assert.All(TinyClicks.Predict(_mlContext, model, TinyClicks.Rows(20, seed: 3)), prediction => Assert.InRange(prediction.Probability, 0, 1));
    }

    private sealed class Row
    {
        public bool Label { get; set; }
        public long Timestamp { get; set; }

        [KeyType(TenMillion)]
        public uint Item { get; set; }

        [VectorType, KeyType(TenMillion)]
        public uint[] HistoryItem { get; set; } = [];

        [VectorType]
        public long[] HistoryTimestamp { get; set; } = [];
    }

    private static SparseCtrTrainer.Options FewEpochs()
    {
        SparseCtrTrainer.Options options = TinyClicks.Options();
        options.NumberOfEpochs = 2;
        return options;
    }

    private TransformerChain<CtrTransformer> FitHashed(int numberOfBits, SparseCtrTrainer.Options options)
        => new[] { "Item", "HistoryItem", "Kind", "HistoryKind", "HistoryAction", "Gender" }
            .Select(column => (IEstimator<ITransformer>)_mlContext.Transforms.Conversion.Hash(column, numberOfBits: numberOfBits))
            .Aggregate((all, one) => all.Append(one))
            .Append(_mlContext.Ranking.Trainers.SparseCtr(options)).Fit(TinyClicks.View(_mlContext, TinyClicks.Rows(400)));

    /// <summary>The item is put into candidates and histories, in place of what is there.</summary>
    private void AssertScoresAsMissing(ITransformer model, string unseen, string missing, string seen)
    {
        Assert.Equal(Scores(missing), Scores(unseen));
        Assert.NotEqual(Scores(missing), Scores(seen));

        float[] Scores(string item)
        {
            TinyClicks.Row[] rows = TinyClicks.Rows(20, seed: 3);
            foreach (TinyClicks.Row row in rows)
            {
                row.Item = item;
                row.HistoryItem.AsSpan().Fill(item);
            }
            return TinyClicks.Predict(_mlContext, model, rows).Select(prediction => prediction.Score).ToArray();
        }
    }
}
