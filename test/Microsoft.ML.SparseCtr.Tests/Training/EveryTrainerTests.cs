using System.Text.Json;
using Microsoft.ML.Data;

namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>What every trainer does.</summary>
public class EveryTrainerTests
{
    private static readonly TinyClicks.Row[] s_testRows = TinyClicks.Rows(300, seed: 2);

    private readonly MLContext _mlContext = new(seed: 1);

    public static TheoryData<string> Trainers => new(TinyClicks.Trainers);

    [Theory]
    [MemberData(nameof(Trainers))]
    public void It_learns_what_the_history_says_and_its_zip_says_so_in_a_fresh_context(string trainer)
    {
        using TransformerChain<CtrTransformer> model = TinyClicks.Fit(_mlContext, TinyClicks.Rows(6_000), TinyClicks.Options(trainer));
        IDataView test = TinyClicks.View(_mlContext, s_testRows);
        Assert.InRange(_mlContext.Ranking.EvaluateCtr(model.Transform(test)).AreaUnderRocCurve, 0.85, 1);

        using var file = new ModelZip(new MLContext(), model, test.Schema);
        var loaded = (TransformerChain<ITransformer>)file.Load();
        using var scorer = (CtrTransformer)loaded.LastTransformer;
        Assert.Equal(Scores(_mlContext, model), Scores(new MLContext(), loaded));
        Assert.IsType(TinyClicks.Options(trainer).GetType(), scorer.Config.Options);
        Assert.Equal(trainer, KindOf(scorer.Config));
    }

    [Theory]
    [MemberData(nameof(Trainers))]
    public void The_same_seed_gives_the_same_model_to_the_last_bit(string trainer)
    {
        float[] first = ScoresOf(7);
        Assert.Equal(first, ScoresOf(7));
        Assert.NotEqual(first, ScoresOf(8));

        float[] ScoresOf(int seed)
        {
            var mlContext = new MLContext(seed);
            using TransformerChain<CtrTransformer> model = TinyClicks.Fit(mlContext, TinyClicks.Rows(400), TinyClicks.Options(trainer));
            return Scores(mlContext, model);
        }
    }

    [Theory]
    [MemberData(nameof(Trainers))]
    public void Options_changed_after_it_was_created_change_nothing(string trainer)
    {
        CtrTrainerOptions options = TinyClicks.Options(trainer);
        options.NumberOfEpochs = 1;
        IEstimator<CtrTransformer> created = TinyClicks.Trainer(_mlContext, options);
        (options.ModelDimension, options.ItemColumnName) = (24, "Nope");
        foreach (string[] names in new[] { options.HistoryColumnNames, options.CandidateColumnNames, options.UserColumnNames, options.NumericColumnNames })
            names[0] = "Nope";

        using TransformerChain<CtrTransformer> model = TinyClicks.Keys(_mlContext).Append(created).Fit(TinyClicks.View(_mlContext, TinyClicks.Rows(50)));

        CtrTrainerOptions kept = model.LastTransformer.Config.Options;
        Assert.Equal((16, "Item", "HistoryKind", "Kind", "Gender", "Price"),
            (kept.ModelDimension, kept.ItemColumnName, kept.HistoryColumnNames[0], kept.CandidateColumnNames[0], kept.UserColumnNames[0], kept.NumericColumnNames[0]));
    }

    [Theory]
    [MemberData(nameof(Trainers))]
    public void Rows_of_users_who_never_clicked_are_trained_on_and_scored(string trainer)
    {
        TinyClicks.Row[] rows = TinyClicks.Rows(100);
        foreach (TinyClicks.Row row in rows)
            (row.HistoryItem, row.HistoryKind, row.HistoryAction, row.HistoryTimestamp) = ([], [], [], []);
        CtrTrainerOptions options = TinyClicks.Options(trainer);
        options.NumberOfEpochs = 1;
        using TransformerChain<CtrTransformer> model = TinyClicks.Fit(_mlContext, [.. rows, .. TinyClicks.Rows(20, seed: 4)], options);
        Assert.All(TinyClicks.Predict(_mlContext, model, rows), prediction => Assert.InRange(prediction.Probability, 0, 1));
    }

    /// <summary>Eta makes the fingerprints that it keeps when it is first asked for scores.</summary>
    [Theory]
    [MemberData(nameof(Trainers))]
    public void Who_asks_at_the_same_time_gets_the_scores_that_one_alone_gets(string trainer)
    {
        CtrTrainerOptions options = TinyClicks.Options(trainer);
        options.NumberOfEpochs = 1;
        using TransformerChain<CtrTransformer> model = TinyClicks.Fit(_mlContext, TinyClicks.Rows(50), options);
        var together = new float[4][];
        Parallel.For(0, together.Length, i => together[i] = Scores(new MLContext(), model));
        float[] alone = Scores(_mlContext, model);
        Assert.All(together, scores => Assert.All(scores.Zip(alone), pair => Assert.Equal(pair.Second, pair.First, 1e-5)));
    }

    private static float[] Scores(MLContext mlContext, ITransformer model)
        => TinyClicks.Predict(mlContext, model, s_testRows).Select(prediction => prediction.Score).ToArray();

    private static string? KindOf(CtrConfig config)
    {
        using var text = new StringWriter();
        ModelFile.WriteConfig(config, text);
        using JsonDocument json = JsonDocument.Parse(text.ToString());
        return json.RootElement.GetProperty("network").GetProperty("options").GetProperty("kind").GetString();
    }
}
