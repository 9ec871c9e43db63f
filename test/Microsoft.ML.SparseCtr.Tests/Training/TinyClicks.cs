using Microsoft.ML.Data;

namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>A made-up click log small enough to train on in seconds: users click what has the kind of the item that they clicked last.</summary>
internal static class TinyClicks
{
    public const int Kinds = 4, ItemsPerKind = 5;

    public sealed class Row
    {
        public bool Label { get; set; }
        public long Timestamp { get; set; }
        public string Item { get; set; } = "";
        public string Kind { get; set; } = "";
        public string Gender { get; set; } = "";
        public float Price { get; set; }
        public int Request { get; set; }

        [VectorType]
        public string[] HistoryItem { get; set; } = [];

        [VectorType]
        public string[] HistoryKind { get; set; } = [];

        [VectorType]
        public string[] HistoryAction { get; set; } = [];

        [VectorType]
        public long[] HistoryTimestamp { get; set; } = [];
    }

    public sealed class Prediction
    {
        public float Score { get; set; }
        public float Probability { get; set; }
        public bool PredictedLabel { get; set; }
    }

    public static Row[] Rows(int count, int seed = 1)
    {
        var random = new Random(seed);
        return Enumerable.Range(0, count).Select(i =>
        {
            int events = random.Next(12);
            int[] items = Enumerable.Range(0, events).Select(_ => random.Next(Kinds * ItemsPerKind)).ToArray();
            int item = random.Next(Kinds * ItemsPerKind);
            bool matches = events > 0 && items[^1] % Kinds == item % Kinds;
            long now = 1_700_000_000 + 60 * i;
            return new Row
            {
                Label = random.NextDouble() < (matches ? 0.95 : 0.05),
                Timestamp = now,
                Item = $"item {item}",
                Kind = $"kind {item % Kinds}",
                Gender = random.Next(2) == 0 ? "f" : "m",
                Price = 10 * random.NextSingle(),
                Request = i / 2,
                HistoryItem = items.Select(one => $"item {one}").ToArray(),
                HistoryKind = items.Select(one => $"kind {one % Kinds}").ToArray(),
                HistoryAction = items.Select(_ => "click").ToArray(),
                HistoryTimestamp = items.Select((_, place) => now - 100 * (events - place)).ToArray(),
            };
        }).ToArray();
    }

    public static IDataView View(MLContext mlContext, IEnumerable<Row> rows) => mlContext.Data.LoadFromEnumerable(rows.ToList());

    /// <summary>Every trainer, by the kind that its model files have.</summary>
    public static string[] Trainers { get; } = ["SparseCtr", "Eta", "TargetAttention", "DenseAttention"];

    /// <summary>Options that learn the rule within seconds.</summary>
    public static SparseCtrTrainer.Options Options() => Learning(new SparseCtrTrainer.Options());

    /// <summary>The same of any trainer. Target attention, to which all that it sees is equally recent, sees the last click alone.</summary>
    public static CtrTrainerOptions Options(string trainer) => trainer switch
    {
        "SparseCtr" => Options(),
        "Eta" => Learning(new EtaTrainer.Options { RetrievedBehaviors = 3, LocalWindow = 1 }),
        "TargetAttention" => Learning(new TargetAttentionTrainer.Options { LocalWindow = 1 }),
        "DenseAttention" => Learning(new DenseAttentionTrainer.Options()),
        _ => throw new ArgumentException($"'{trainer}' is no trainer."),
    };

    private static T Learning<T>(T options) where T : CtrTrainerOptions
    {
        options.HistoryColumnNames = ["HistoryKind", "HistoryAction"];
        options.CandidateColumnNames = ["Kind"];
        options.UserColumnNames = ["Gender"];
        options.NumericColumnNames = ["Price"];
        options.EmbeddingDimension = 8;
        options.ModelDimension = 16;
        options.NumberOfHeads = 2;
        options.HeadDimension = 16;
        options.Dropout = 0;
        options.TokenDropout = 0;
        options.ItemDropout = 0.1;
        options.LearningRate = 1e-2;
        options.BatchSize = 64;
        options.NumberOfEpochs = 12;
        options.EarlyStoppingPatience = 6;
        if (options is SelfAttentionOptions blocks)
            (blocks.NumberOfBlocks, blocks.FeedForwardDimension) = (1, 16);
        return options;
    }

    public static CtrTrainer Trainer(MLContext mlContext, CtrTrainerOptions options, IProgress<TrainingProgress>? progress = null) => options switch
    {
        SparseCtrTrainer.Options sparseCtr => mlContext.Ranking.Trainers.SparseCtr(sparseCtr, progress),
        EtaTrainer.Options eta => mlContext.Ranking.Trainers.Eta(eta, progress),
        TargetAttentionTrainer.Options targetAttention => mlContext.Ranking.Trainers.TargetAttention(targetAttention, progress),
        DenseAttentionTrainer.Options denseAttention => mlContext.Ranking.Trainers.DenseAttention(denseAttention, progress),
        _ => throw new ArgumentException($"{options} are of no trainer."),
    };

    public static IEstimator<ITransformer> Keys(MLContext mlContext)
    {
        TransformsCatalog.ConversionTransforms conversion = mlContext.Transforms.Conversion;
        return Shared("Item", Enumerable.Range(0, Kinds * ItemsPerKind).Select(item => $"item {item}"))
            .Append(Shared("Kind", Enumerable.Range(0, Kinds).Select(kind => $"kind {kind}")))
            .Append(conversion.MapValueToKey("HistoryAction"))
            .Append(conversion.MapValueToKey("Gender"));

        IEstimator<ITransformer> Shared(string name, IEnumerable<string> values) => conversion.MapValueToKey(
            [new InputOutputColumnPair(name), new InputOutputColumnPair("History" + name)],
            keyData: mlContext.Data.LoadFromEnumerable(values.Select(value => new Known { Value = value })));
    }

    private sealed class Known
    {
        public string Value { get; set; } = "";
    }

    public static TransformerChain<CtrTransformer> Fit(MLContext mlContext, IEnumerable<Row> rows, CtrTrainerOptions? options = null)
        => Keys(mlContext).Append(Trainer(mlContext, options ?? Options())).Fit(View(mlContext, rows));

    public static Prediction[] Predict(MLContext mlContext, ITransformer model, IEnumerable<Row> rows)
        => mlContext.Data.CreateEnumerable<Prediction>(model.Transform(View(mlContext, rows)), reuseRowObject: false).ToArray();
}
