using Microsoft.ML.Data;

namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>Every mistake gets an exception that names the column, row or option, and what was expected.</summary>
public class BadInputTests
{
    private readonly MLContext _mlContext = new(seed: 1);

    public static TheoryData<string, Action<SparseCtrTrainer.Options>> BadOptions => new()
    {
        { "LabelColumnName", options => options.LabelColumnName = "" },
        { "HistoryColumnNames", options => options.HistoryColumnNames = ["A", "A"] },
        { "CandidateColumnNames", options => options.CandidateColumnNames = null! },
        { "HistoryLength", options => options.HistoryLength = 0 },
        { "HistoryStride", options => options.HistoryStride = options.HistoryLength + 1 },
        { "EmbeddingDimension", options => options.EmbeddingDimension = -1 },
        { "MaximumTableRows", options => options.MaximumTableRows = 1 },
        { "ModelDimension", options => options.ModelDimension = 31 },
        { "NumberOfHeads", options => options.NumberOfHeads = 0 },
        { "NumberOfBlocks", options => options.NumberOfBlocks = 65 },
        { "NumberOfChunks", options => options.NumberOfChunks = 0 },
        { "Chunking", options => options.Chunking = (ChunkingPolicy)7 },
        { "TransitionBehaviors", options => options.TransitionBehaviors = 0 },
        { "LocalWindow", options => options.LocalWindow = 0 },
        { "FeedForwardDimension", options => options.FeedForwardDimension = 0 },
        { "HeadDimension", options => options.HeadDimension = 0 },
        { "TimeScaleSeconds", options => options.TimeScaleSeconds = 0 },
        { "UtcOffsetHours", options => options.UtcOffsetHours = 25 },
        { "Dropout", options => options.Dropout = 1 },
        { "TokenDropout", options => options.TokenDropout = 1 },
        { "ItemDropout", options => options.ItemDropout = -0.1 },
        { "NumberOfEpochs", options => options.NumberOfEpochs = 0 },
        { "BatchSize", options => options.BatchSize = 0 },
        { "RequestsPerHistory", options => options.RequestsPerHistory = 0 },
        { "LearningRate", options => options.LearningRate = double.NaN },
        { "EmbeddingOptimizer", options => options.EmbeddingOptimizer = (EmbeddingOptimizer)7 },
        { "WeightDecay", options => options.WeightDecay = -1 },
        { "WarmupFraction", options => options.WarmupFraction = 1.5 },
        { "GradientClipping", options => options.GradientClipping = 0 },
        { "ValidationFraction", options => options.ValidationFraction = 1 },
        { "EarlyStoppingPatience", options => options.EarlyStoppingPatience = 0 },
        { "AttentionImplementation", options => options.AttentionImplementation = (AttentionImplementation)7 },
        { "TemporalTerms", options => options.TemporalTerms = (TemporalTerms)8 },
        { "Branches", options => options.Branches = 0 },
        { "NumberOfThreads", options => options.NumberOfThreads = 0 },
        { "ShufflePoolSize", options => options.ShufflePoolSize = 0 },
    };

    [Theory]
    [MemberData(nameof(BadOptions))]
    public void An_option_out_of_range_is_named(string option, Action<SparseCtrTrainer.Options> spoil)
    {
        SparseCtrTrainer.Options options = TinyClicks.Options();
        spoil(options);
        ArgumentOutOfRangeException problem = Assert.Throws<ArgumentOutOfRangeException>(option, () => _mlContext.Ranking.Trainers.SparseCtr(options));
        Assert.Contains(option, problem.Message);
    }

    [Fact]
    public void Every_option_with_a_range_is_checked()
    {
        IEnumerable<string> ranged = typeof(SparseCtrTrainer.Options).GetProperties()
            .Where(property => property.PropertyType == typeof(int) || property.PropertyType == typeof(double) || property.PropertyType.IsEnum).Select(property => property.Name);
        Assert.Empty(ranged.Except(BadOptions.Select(row => (string)row[0])));
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
