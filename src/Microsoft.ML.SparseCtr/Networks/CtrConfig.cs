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
/// Everything that, together with the weights, makes a trained network: its inputs, as the training data has them, and the options. It is the model
/// file's config.json.
/// </summary>
internal sealed record CtrConfig
{
    /// <summary>Fields of a token: the item first, then what the candidate shares with behaviors, then what only behaviors have.</summary>
    public required KeyField[] SequenceFields { get; init; }

    /// <summary>Fields that only the candidate has; each may be a vector of keys, whose embeddings are averaged.</summary>
    public required KeyField[] CandidateFields { get; init; }

    /// <summary>Fields of the user or the request; each may be a vector of keys, whose embeddings are averaged.</summary>
    public required KeyField[] UserFields { get; init; }

    /// <summary>Standardized numbers of the user, the candidate or the request.</summary>
    public required NumericField[] NumericFields { get; init; }

    public required CtrTrainerOptions Options { get; init; }

    [JsonIgnore]
    public int NumericDimension => NumericFields.Sum(numeric => numeric.Mean.Length);

    [JsonIgnore]
    public IEnumerable<KeyField> AllFields => SequenceFields.Concat(CandidateFields).Concat(UserFields);

    /// <summary>The inputs that options name, before the data has told key counts and statistics.</summary>
    public static CtrConfig Of(CtrTrainerOptions options)
    {
        KeyField item = new(options.ItemColumnName, options.ItemColumnName, options.HistoryItemColumnName, 0, options.MaximumTableRows);
        KeyField[] fields = options.HistoryColumnNames.Select(column =>
        {
            string name = column.StartsWith(EventField.Prefix, StringComparison.Ordinal) ? column[EventField.Prefix.Length..] : column;
            return new KeyField(name, options.CandidateColumnNames.Contains(name) ? name : null, column, 0, options.MaximumTableRows);
        }).ToArray();
        return new CtrConfig
        {
            // Shared fields before those that only behaviors have.
            SequenceFields = [item, .. fields.OrderBy(field => field.ColumnName is null)],
            CandidateFields = options.CandidateColumnNames.Where(name => !fields.Any(field => field.ColumnName == name)).Select(OfRow).ToArray(),
            UserFields = options.UserColumnNames.Select(OfRow).ToArray(),
            NumericFields = options.NumericColumnNames.Select(name => new NumericField(name, [], [])).ToArray(),
            Options = options,
        };

        KeyField OfRow(string name) => new(name, name, null, 0, options.MaximumTableRows);
    }

    /// <summary>Holds every size against its range, and the fields against what a network expects of them.</summary>
    public void Check(Requirement require)
    {
        Options.CheckNetwork(require);
        object?[] fields = [.. AllFields, .. NumericFields];
        require(Array.TrueForAll(fields, field => field is not null), "fields", "no null among them", null);
        require(SequenceFields is [{ ColumnName: not null }, ..], nameof(SequenceFields), "the item and what else a token has", SequenceFields.Length);
        require(SequenceFields.All(field => field.HistoryColumnName is not null), nameof(SequenceFields), "fields of the history", null);
        require(CandidateFields.Concat(UserFields).All(field => field is { ColumnName: not null, HistoryColumnName: null }),
            $"{nameof(CandidateFields)} and {nameof(UserFields)}", "fields of the row alone", null);
        foreach (KeyField field in AllFields)
        {
            require.Between(field.KeyCount, 0, int.MaxValue - 2, $"the key count of {field.Name}");
            require(field.MaximumTableRows is null or >= 2, nameof(field.MaximumTableRows), "2 or more, or null", field.MaximumTableRows);
        }
        foreach (NumericField field in NumericFields)
            require(field.Mean.Length == field.StandardDeviation.Length, field.ColumnName, "as many means as standard deviations", field.Mean.Length);
    }
}
