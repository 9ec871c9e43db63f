using Microsoft.ML.Data;

namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>Every mistake gets an exception that names the column, row or option, and what was expected.</summary>
public class BadInputTests
{
    /// <summary>Of the options of all trainers.</summary>
    private static readonly (string Option, object? Value)[] s_badValues =
    [
        ("LabelColumnName", ""),
        ("HistoryColumnNames", new[] { "A", "A" }),
        ("CandidateColumnNames", null),
        ("HistoryLength", 0),
        ("HistoryStride", 201),
        ("EmbeddingDimension", -1),
        ("MaximumTableRows", 1),
        ("ModelDimension", 31),
        ("NumberOfHeads", 0),
        ("NumberOfBlocks", 65),
        ("NumberOfChunks", 0),
        ("Chunking", (ChunkingPolicy)7),
        ("TransitionBehaviors", 0),
        ("LocalWindow", 0),
        ("FeedForwardDimension", 0),
        ("HeadDimension", 0),
        ("TimeScaleSeconds", 0.0),
        ("UtcOffsetHours", 25.0),
        ("Dropout", 1.0),
        ("TokenDropout", 1.0),
        ("ItemDropout", -0.1),
        ("NumberOfEpochs", 0),
        ("BatchSize", 0),
        ("RequestsPerHistory", 0),
        ("LearningRate", double.NaN),
        ("EmbeddingOptimizer", (EmbeddingOptimizer)7),
        ("WeightDecay", -1.0),
        ("WarmupFraction", 1.5),
        ("GradientClipping", 0.0),
        ("ValidationFraction", 1.0),
        ("EarlyStoppingPatience", 0),
        ("AttentionImplementation", (AttentionImplementation)7),
        ("TemporalTerms", (TemporalTerms)8),
        ("Branches", default(AttentionBranches)),
        ("Branches", (AttentionBranches)8),
        ("NumberOfThreads", 0),
        ("ShufflePoolSize", 0),
        ("CheckpointPath", ""),
        ("CheckpointPath", "no/such/folder/training.checkpoint"),
        ("CheckpointSeconds", -1.0),
        ("CheckpointSeconds", double.NaN),
        ("RetrievedBehaviors", 0),
        ("FingerprintBits", 0),
        ("FingerprintBits", 96),
        ("FingerprintBits", 2_048),
    ];

    private readonly MLContext _mlContext = new(seed: 1);

    public static TheoryData<string> Trainers => new(TinyClicks.Trainers);

    public static TheoryData<string, string, object?> BadOptions
    {
        get
        {
            var all = new TheoryData<string, string, object?>();
            foreach (string trainer in TinyClicks.Trainers)
            {
                foreach ((string option, object? value) in s_badValues.Where(bad => TinyClicks.Options(trainer).GetType().GetProperty(bad.Option) is not null))
                    all.Add(trainer, option, value);
            }
            return all;
        }
    }

    [Theory]
    [MemberData(nameof(BadOptions))]
    public void An_option_out_of_range_is_named(string trainer, string option, object? value)
    {
        CtrTrainerOptions options = TinyClicks.Options(trainer);
        options.GetType().GetProperty(option)!.SetValue(options, value);
        ArgumentOutOfRangeException problem = Assert.Throws<ArgumentOutOfRangeException>(option, () => TinyClicks.Trainer(_mlContext, options));
        Assert.Contains(option, problem.Message);
    }

    [Theory]
    [MemberData(nameof(Trainers))]
    public void Every_option_with_a_range_is_checked(string trainer)
    {
        IEnumerable<string> ranged = TinyClicks.Options(trainer).GetType().GetProperties()
            .Where(property => property.PropertyType == typeof(int) || property.PropertyType == typeof(double) || property.PropertyType.IsEnum).Select(property => property.Name);
        Assert.Empty(ranged.Except(s_badValues.Select(bad => bad.Option)));
    }

    [Theory]
    [InlineData("label", "LabelColumnName")]
    [InlineData("item", "ItemColumnName")]
    [InlineData("history", "HistoryItemColumnName")]
    [InlineData("history timestamp", "HistoryTimestampColumnName")]
    [InlineData("timestamp", "TimestampColumnName")]
    [InlineData("group", "RowGroupColumnName")]
    public void A_missing_column_is_named(string role, string option)
    {
        SparseCtrTrainer.Options options = TinyClicks.Options();
        typeof(SparseCtrTrainer.Options).GetProperty(option)!.SetValue(options, "Nope");
        Assert.Contains($"Could not find {role} column 'Nope'", Assert.Throws<ArgumentOutOfRangeException>(() => Fit(options)).Message);
    }

    [Theory]
    [InlineData("CandidateColumnNames", "candidate")]
    [InlineData("UserColumnNames", "user")]
    [InlineData("NumericColumnNames", "numeric")]
    [InlineData("HistoryColumnNames", "history")]
    public void A_missing_further_column_is_named(string option, string role)
    {
        SparseCtrTrainer.Options options = TinyClicks.Options();
        typeof(SparseCtrTrainer.Options).GetProperty(option)!.SetValue(options, new[] { "Nope" });
        Assert.Contains($"Could not find {role} column 'Nope'", Assert.Throws<ArgumentOutOfRangeException>(() => Fit(options)).Message);
    }

    [Theory]
    [InlineData("LabelColumnName", "Item", "label column 'Item': expected Boolean or Single")]
    [InlineData("ItemColumnName", "Price", "item column 'Price': expected a key")]
    [InlineData("HistoryItemColumnName", "Item", "history column 'Item': expected a vector of keys")]
    [InlineData("HistoryTimestampColumnName", "Timestamp", "history timestamp column 'Timestamp': expected a vector of Int64")]
    [InlineData("TimestampColumnName", "Price", "timestamp column 'Price': expected Int64 (Unix seconds) or DateTime, got Single")]
    public void A_column_of_the_wrong_type_is_named_with_what_was_expected(string option, string column, string message)
    {
        SparseCtrTrainer.Options options = TinyClicks.Options();
        typeof(SparseCtrTrainer.Options).GetProperty(option)!.SetValue(options, column);
        Assert.Contains("Schema mismatch for " + message, Assert.Throws<ArgumentOutOfRangeException>(() => Fit(options)).Message);
    }

    [Fact]
    public void A_trainer_used_without_a_pipeline_checks_its_columns_as_well()
    {
        IDataView raw = TinyClicks.View(_mlContext, TinyClicks.Rows(10));
        var problem = Assert.Throws<ArgumentOutOfRangeException>(() => _mlContext.Ranking.Trainers.SparseCtr(TinyClicks.Options()).Fit(raw));
        Assert.Contains("item column 'Item': expected a key", problem.Message);
    }

    [Fact]
    public void Candidate_and_history_mapped_apart_are_refused()
    {
        TransformsCatalog.ConversionTransforms conversion = _mlContext.Transforms.Conversion;
        EstimatorChain<CtrTransformer> pipeline = conversion.MapValueToKey("Item").Append(conversion.MapValueToKey("HistoryItem"))
            .Append(_mlContext.Ranking.Trainers.SparseCtr());
        var problem = Assert.Throws<InvalidOperationException>(() => pipeline.Fit(TinyClicks.View(_mlContext, TinyClicks.Rows(200))));
        Assert.Contains("'Item' and 'HistoryItem' share embeddings", problem.Message);
    }

    [Fact]
    public void Numbers_mapped_apart_are_refused_even_where_there_are_as_many_of_them()
    {
        var rows = TinyClicks.Rows(20).Select((row, i) => new { row.Label, row.Timestamp, Item = i % 2, HistoryItem = new[] { 1, 0 }, HistoryTimestamp = new long[] { 1, 2 } });
        TransformsCatalog.ConversionTransforms conversion = _mlContext.Transforms.Conversion;
        EstimatorChain<CtrTransformer> pipeline = conversion.MapValueToKey("Item").Append(conversion.MapValueToKey("HistoryItem"))
            .Append(_mlContext.Ranking.Trainers.SparseCtr());
        var problem = Assert.Throws<InvalidOperationException>(() => pipeline.Fit(_mlContext.Data.LoadFromEnumerable(rows.ToList())));
        Assert.Contains("'Item' and 'HistoryItem' share embeddings", problem.Message);
    }

    [Fact]
    public void More_keys_than_memory_can_hold_are_refused_before_anything_is_allocated()
    {
        EstimatorChain<CtrTransformer> pipeline = _mlContext.Transforms.Conversion.Hash("Item", numberOfBits: 30)
            .Append(_mlContext.Transforms.Conversion.Hash("HistoryItem", numberOfBits: 30))
            .Append(_mlContext.Ranking.Trainers.SparseCtr(new SparseCtrTrainer.Options { EmbeddingDimension = 4_096 }));
        var problem = Assert.Throws<InvalidOperationException>(() => pipeline.Fit(TinyClicks.View(_mlContext, TinyClicks.Rows(20))));
        Assert.Contains("Column 'Item' has 1,073,741,824 keys", problem.Message);
    }

    [Fact]
    public void No_rows_are_refused()
        => Assert.Contains("Training set has 0 instances", Assert.Throws<InvalidOperationException>(() => Fit(TinyClicks.Options(), [])).Message);

    public static TheoryData<string, Action<Times>> BadRows => new()
    {
        { "is not in ascending order: 5 at position 1 follows 9", times => times.Values = [9, 5] },
        { "has the negative time -1 at position 0", times => times.Values = [-1, 5] },
        { "after the row's own time", times => times.Values = [5, long.MaxValue] },
        { "has 2 values, but 'HistoryTimestamp' has 3", times => times.Values = [1, 2, 3] },
    };

    /// <summary>The times of a row's history, which the cases above spoil.</summary>
    public sealed class Times
    {
        public long[] Values { get; set; } = [];
    }

    [Theory]
    [MemberData(nameof(BadRows))]
    public void A_history_that_is_none_is_refused_with_its_row_and_column(string message, Action<Times> spoil)
    {
        TinyClicks.Row[] rows = TinyClicks.Rows(20);
        var times = new Times();
        spoil(times);
        (rows[7].HistoryItem, rows[7].HistoryKind, rows[7].HistoryAction, rows[7].HistoryTimestamp) = (["item 1", "item 2"], ["kind 1", "kind 2"], ["click", "click"], times.Values);

        var problem = Assert.Throws<InvalidOperationException>(() => Fit(TinyClicks.Options(), rows));
        Assert.Contains("Row 7: column 'History", problem.Message);
        Assert.Contains(message, problem.Message);
    }

    [Fact]
    public void A_label_that_is_neither_0_nor_1_is_refused_with_its_row()
    {
        var rows = TinyClicks.Rows(5).Select((row, i) => new { Label = (float)i, row.Item, row.Timestamp, row.HistoryItem, row.HistoryTimestamp }).ToList();
        EstimatorChain<CtrTransformer> pipeline = _mlContext.Transforms.Conversion.Hash("Item", numberOfBits: 8)
            .Append(_mlContext.Transforms.Conversion.Hash("HistoryItem", numberOfBits: 8)).Append(_mlContext.Ranking.Trainers.SparseCtr());
        var problem = Assert.Throws<InvalidOperationException>(() => pipeline.Fit(_mlContext.Data.LoadFromEnumerable(rows)));
        Assert.Contains("'Label' must be 0 or 1; row 2 has 2", problem.Message);
    }

    private TransformerChain<CtrTransformer> Fit(SparseCtrTrainer.Options options, TinyClicks.Row[]? rows = null)
        => TinyClicks.Fit(_mlContext, rows ?? TinyClicks.Rows(20), options);
}
