using Microsoft.ML.Data;

namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>The README's first pipeline: from a log to a served model.</summary>
public class PipelineTests
{
    private const int Kinds = 4;

    private readonly MLContext _mlContext = new(seed: 1);

    private sealed class Impression
    {
        public bool Label { get; set; }
        public string User { get; set; } = "";
        public string Item { get; set; } = "";
        public string Category { get; set; } = "";
        public long Timestamp { get; set; }
        public float Price { get; set; }
    }

    private sealed class Prediction
    {
        public float Probability { get; set; }
    }

    [Theory]
    [InlineData(ChunkingPolicy.LargestGaps, 1)]
    [InlineData(ChunkingPolicy.LargestGaps, 8)]
    [InlineData(ChunkingPolicy.Causal, 8)]
    public void A_log_is_split_learned_from_saved_and_served_with_what_has_happened_since(ChunkingPolicy chunking, int requestsPerHistory)
    {
        IDataView log = _mlContext.Data.LoadFromEnumerable(Impressions(6_000));
        TimeSplit split = _mlContext.Data.SplitByTime(log, testFraction: 0.1);
        IEstimator<ITransformer> pipeline = _mlContext.Transforms.RunningRate(history: log, keyColumnNames: ["Item", "User"])
            .Append(_mlContext.Transforms.Conversion.MapValueToKey([new InputOutputColumnPair("Item"), new InputOutputColumnPair("Category")]))
            .Append(_mlContext.Transforms.BehaviorSequence(history: log, fieldColumnNames: ["Category"]))
            .Append(_mlContext.Ranking.Trainers.SparseCtr(new SparseCtrTrainer.Options
            {
                CandidateColumnNames = ["Category"],
                HistoryColumnNames = ["HistoryCategory"],
                NumericColumnNames = ["ItemRate", "ItemCount", "UserRate", "UserCount", "Price"],
                EmbeddingDimension = 8,
                ModelDimension = 16,
                NumberOfHeads = 2,
                ItemDropout = 0.1,
                HistoryLength = 20,
                HistoryStride = 10,
                Chunking = chunking,
                RequestsPerHistory = requestsPerHistory,
                LearningRate = 1e-2,
                Dropout = 0,
                TokenDropout = 0,
                NumberOfEpochs = 6,
                EarlyStoppingPatience = 6,
            }));
        ITransformer model = pipeline.Fit(split.TrainSet);
        CtrMetrics metrics = _mlContext.Ranking.EvaluateCtr(model.Transform(split.TestSet), groupColumnName: "User");
        Assert.InRange(metrics.AreaUnderRocCurve, 0.8, 1);
        Assert.Equal(600, metrics.NumberOfRows);

        using var file = new ModelZip(_mlContext, model, log.Schema);
        ITransformer loaded = file.Load();
        using PredictionEngine<Impression, Prediction> engine = _mlContext.Model.CreatePredictionEngine<Impression, Prediction>(loaded);

        // Scored together, rows of one user may share the encoding of their history; the engine scores each row by itself.
        float[] together = loaded.Transform(split.TestSet).GetColumn<float>("Probability").ToArray();
        Impression[] rows = _mlContext.Data.CreateEnumerable<Impression>(split.TestSet, reuseRowObject: false).ToArray();
        Assert.All(rows.Zip(together), pair => Assert.Equal(engine.Predict(pair.First).Probability, pair.Second, 1e-5));

        // A new user comes as often as the others, and clicks items of one category only.
        Impression[] visits = Enumerable.Range(10_000, 9).Select(i => Of(60 * 300 * i, "newcomer", item: 1 + Kinds * (i % 5), clicked: true)).ToArray();
        loaded.AppendEvents(_mlContext.Data.LoadFromEnumerable(visits[..^1]));
        Impression liked = visits[^1], other = Of(liked.Timestamp, "newcomer", item: 6);
        Assert.InRange(engine.Predict(liked).Probability - engine.Predict(other).Probability, 0.4, 1);
    }

    [Theory]
    [InlineData(200, 1, 0)]
    [InlineData(100, 1, 1)]
    [InlineData(200, 10, 1)]
    public void Fit_warns_where_BehaviorSequence_cuts_histories_otherwise_than_the_trainer_would(int length, int stride, int warnings)
    {
        IDataView log = _mlContext.Data.LoadFromEnumerable(Impressions(300));
        var told = new List<string>();
        _mlContext.Log += (_, message) =>
        {
            if (message.RawMessage.Contains("Give both the same."))
                told.Add(message.RawMessage);
        };
        _mlContext.Transforms.Conversion.MapValueToKey("Item")
            .Append(_mlContext.Transforms.BehaviorSequence(log, new BehaviorSequenceEstimator.Options { HistoryLength = length, HistoryStride = stride }))
            .Append(_mlContext.Ranking.Trainers.SparseCtr(new SparseCtrTrainer.Options { NumberOfEpochs = 1 }))
            .Fit(log);
        Assert.Equal(warnings, told.Count);
        Assert.All(told, message => Assert.Contains($"at most {length} events in 'HistoryTimestamp', with a stride of {stride}, but the trainer has HistoryLength 200 and HistoryStride 1", message));
    }

    /// <summary>Each user likes one category, is mostly shown it, and clicks it.</summary>
    private static Impression[] Impressions(int count)
    {
        const int users = 300;
        var random = new Random(1);
        return Enumerable.Range(0, count).Select(i =>
        {
            int user = random.Next(users), liked = user % Kinds;
            int category = random.NextDouble() < 0.5 ? liked : random.Next(Kinds);
            return Of(60 * i, $"user {user}", category + Kinds * random.Next(5), clicked: random.NextDouble() < (category == liked ? 0.95 : 0.05));
        }).ToArray();
    }

    private static Impression Of(long time, string user, int item, bool clicked = false)
        => new() { Label = clicked, User = user, Item = $"item {item}", Category = $"category {item % Kinds}", Timestamp = time, Price = item };
}
