using System.Text.Json.Serialization;

namespace Microsoft.ML.SparseCtr;

/// <summary>A key column, or a pair of them, that the network embeds. Key 0 is ML.NET's missing key and has a row of its own.</summary>
/// <param name="Name">The field's name: that of the candidate's column, or of the history's column without its prefix.</param>
/// <param name="ColumnName">The column that holds the row's own value; null for a field that only behaviors have.</param>
/// <param name="HistoryColumnName">The column that holds one value per behavior; null for a field that behaviors do not have.</param>
/// <param name="KeyCount">Number of distinct keys; values are 0 (missing) to KeyCount.</param>
/// <param name="MaximumTableRows">Keys beyond which the field is double-hashed to this many rows; null for a row per key.</param>
internal sealed record KeyField(string Name, string? ColumnName, string? HistoryColumnName, int KeyCount, int? MaximumTableRows = null)
{
    /// <summary>The value that stands for "this is a candidate" in a field that only behaviors have.</summary>
    [JsonIgnore]
    public int CandidateKey => ColumnName is null ? KeyCount + 1 : throw new InvalidOperationException(Name);

    /// <summary>Whether keys share rows: two tables embed them together, each by a hash of its own.</summary>
    [JsonIgnore]
    public bool IsHashed => KeyCount > MaximumTableRows;

    /// <summary>Rows of each table that the keys from 1 on have, each its own or shared by hashing.</summary>
    [JsonIgnore]
    public int KeyRows => Math.Min(KeyCount, MaximumTableRows ?? KeyCount);

    /// <summary>Rows of each table: those of the keys, the missing key's and, for behavior-only fields, the candidate's value's.</summary>
    [JsonIgnore]
    public long TableRows => KeyRows + (ColumnName is null ? 2L : 1L);

    /// <summary>Rows of all tables of the field.</summary>
    [JsonIgnore]
    public long TotalRows => IsHashed ? 2 * TableRows : TableRows;
}

/// <summary>A numeric column and the statistics of its slots in the training data.</summary>
internal sealed record NumericField(string ColumnName, float[] Mean, float[] StandardDeviation);

/// <summary>
/// Everything that, together with the weights, makes a trained network: its inputs and its sizes. It is the model file's config.json.
/// </summary>
internal sealed record SparseCtrConfig
{
    /// <summary>Fields of a token: the item first, then what the candidate shares with behaviors, then what only behaviors have.</summary>
    public required KeyField[] SequenceFields { get; init; }

    /// <summary>Fields that only the candidate has; each may be a vector of keys, whose embeddings are averaged.</summary>
    public required KeyField[] CandidateFields { get; init; }

    /// <summary>Fields of the user or the request; each may be a vector of keys, whose embeddings are averaged.</summary>
    public required KeyField[] UserFields { get; init; }

    /// <summary>Standardized numbers of the user, the candidate or the request.</summary>
    public required NumericField[] NumericFields { get; init; }

    public required string TimestampColumnName { get; init; }
    public required string HistoryTimestampColumnName { get; init; }

    /// <summary>Behaviors that are looked at, at most, of the latest.</summary>
    public required int HistoryLength { get; init; }

    /// <summary>A longer history begins at a multiple of this many behaviors.</summary>
    public int HistoryStride { get; init; } = 1;

    public required int EmbeddingDimension { get; init; }
    public required int ModelDimension { get; init; }
    public required int NumberOfHeads { get; init; }
    public required int NumberOfBlocks { get; init; }
    public required int NumberOfChunks { get; init; }

    /// <summary>Where histories are cut; files of version 1 do not say it.</summary>
    public ChunkingPolicy Chunking { get; init; } = ChunkingPolicy.LargestGaps;

    public required int TransitionBehaviors { get; init; }
    public required int LocalWindow { get; init; }
    public required int FeedForwardDimension { get; init; }
    public required int HeadDimension { get; init; }
    public required double TimeScaleSeconds { get; init; }
    public required double UtcOffsetHours { get; init; }

    /// <summary>Whether requests whose histories are the beginnings of one get, over that one, the scores that they have by themselves.</summary>
    [JsonIgnore]
    public bool CanShareHistories => Chunking == ChunkingPolicy.Causal;

    [JsonIgnore]
    public int NumericDimension => NumericFields.Sum(numeric => numeric.Mean.Length);

    [JsonIgnore]
    public IEnumerable<KeyField> AllFields => SequenceFields.Concat(CandidateFields).Concat(UserFields);

    /// <summary>Holds every size against its range, and the fields against what the network expects of them.</summary>
    /// <param name="require">Told of each condition: whether it holds, of which option, what is expected, and the value.</param>
    public void Check(Action<bool, string, string, object?> require)
    {
        Between(HistoryLength, 1, 100_000, nameof(HistoryLength));
        Between(HistoryStride, 1, HistoryLength, nameof(HistoryStride));
        Between(EmbeddingDimension, 1, 4_096, nameof(EmbeddingDimension));
        Between(ModelDimension, 1, 8_192, nameof(ModelDimension));
        Between(NumberOfHeads, 1, 256, nameof(NumberOfHeads));
        require(ModelDimension % NumberOfHeads == 0, nameof(ModelDimension), $"a multiple of {nameof(NumberOfHeads)} ({NumberOfHeads})", ModelDimension);
        Between(NumberOfBlocks, 1, 64, nameof(NumberOfBlocks));
        Between(NumberOfChunks, 1, 10_000, nameof(NumberOfChunks));
        require(Enum.IsDefined(Chunking), nameof(Chunking), "one of its names", Chunking);
        Between(TransitionBehaviors, 1, 1_000, nameof(TransitionBehaviors));
        Between(LocalWindow, 1, 10_000, nameof(LocalWindow));
        Between(FeedForwardDimension, 1, 65_536, nameof(FeedForwardDimension));
        Between(HeadDimension, 1, 65_536, nameof(HeadDimension));
        require(double.IsFinite(TimeScaleSeconds) && TimeScaleSeconds > 0, nameof(TimeScaleSeconds), "a positive number", TimeScaleSeconds);
        Between(UtcOffsetHours, -24, 24, nameof(UtcOffsetHours));

        require(SequenceFields is [{ ColumnName: not null }, ..], nameof(SequenceFields), "the item and what else a token has", SequenceFields.Length);
        require(SequenceFields.All(field => field.HistoryColumnName is not null), nameof(SequenceFields), "fields of the history", null);
        require(CandidateFields.Concat(UserFields).All(field => field is { ColumnName: not null, HistoryColumnName: null }),
            $"{nameof(CandidateFields)} and {nameof(UserFields)}", "fields of the row alone", null);
        foreach (KeyField field in AllFields)
        {
            Between(field.KeyCount, 0, int.MaxValue - 2, $"the key count of {field.Name}");
            require(field.MaximumTableRows is null or >= 2, nameof(field.MaximumTableRows), "2 or more, or null", field.MaximumTableRows);
        }
        foreach (NumericField field in NumericFields)
            require(field.Mean.Length == field.StandardDeviation.Length, field.ColumnName, "as many means as standard deviations", field.Mean.Length);

        void Between(double value, double low, double high, string name)
            => require(value >= low && value <= high, name, FormattableString.Invariant($"{low:N0} to {high:N0}"), value);
    }
}
