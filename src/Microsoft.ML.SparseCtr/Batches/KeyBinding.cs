using Microsoft.ML.Data;
using static System.FormattableString;

namespace Microsoft.ML.SparseCtr;

/// <summary>Takes key counts and vector sizes from a schema, and checks that columns that share embeddings share their keys.</summary>
internal static class KeyBinding
{
    /// <summary>The configuration with the key counts and numeric sizes of a schema, whose columns have been checked.</summary>
    /// <param name="config">The configuration.</param>
    /// <param name="schema">The schema of the training data.</param>
    public static CtrConfig Bind(CtrConfig config, DataViewSchema schema)
    {
        foreach (KeyField field in config.SequenceFields.Where(field => field.ColumnName is not null))
            CheckSameKeys(schema[field.ColumnName!], schema[field.HistoryColumnName!]);
        CtrConfig bound = config with
        {
            SequenceFields = config.SequenceFields.Select(WithCount).ToArray(),
            CandidateFields = config.CandidateFields.Select(WithCount).ToArray(),
            UserFields = config.UserFields.Select(WithCount).ToArray(),
            NumericFields = config.NumericFields.Select(field => field with
            {
                Mean = new float[SizeOf(schema[field.ColumnName])],
                StandardDeviation = Enumerable.Repeat(1f, SizeOf(schema[field.ColumnName])).ToArray(),
            }).ToArray(),
        };
        CheckMemory(bound);
        return bound;

        KeyField WithCount(KeyField field)
        {
            string column = field.ColumnName ?? field.HistoryColumnName!;
            ulong count = CountOf(schema[column]);
            if (count > int.MaxValue - 2)
                throw new InvalidOperationException(Invariant($"Column '{column}' has {count:N0} keys; expected at most {int.MaxValue - 2:N0}, as Hash makes them with a numberOfBits of 30 or less."));
            return field with { KeyCount = (int)count };
        }
    }

    /// <summary>Throws unless the schema's key counts and vector sizes are those of the configuration.</summary>
    public static void Check(CtrConfig config, DataViewSchema schema)
    {
        foreach (KeyField field in config.AllFields)
        {
            foreach (string column in new[] { field.ColumnName, field.HistoryColumnName }.OfType<string>())
                Require(CountOf(schema[column]) == (ulong)field.KeyCount, column, Invariant($"{field.KeyCount:N0} keys, as in training"), Invariant($"{CountOf(schema[column]):N0}"));
        }
        foreach (NumericField field in config.NumericFields)
            Require(SizeOf(schema[field.ColumnName]) == field.Mean.Length, field.ColumnName, $"{field.Mean.Length} numbers, as in training", $"{SizeOf(schema[field.ColumnName])}");

        static void Require(bool holds, string column, string expected, string actual)
        {
            if (!holds)
                throw new ArgumentOutOfRangeException(nameof(schema), $"Schema mismatch for column '{column}': expected {expected}, got {actual}");
        }
    }

    private static ulong CountOf(DataViewSchema.Column column) => ((KeyDataViewType)column.Type.ItemType()).Count;

    private static int SizeOf(DataViewSchema.Column column) => column.Type is VectorDataViewType vector ? vector.Size : 1;

    private static void CheckSameKeys(DataViewSchema.Column candidate, DataViewSchema.Column history)
    {
        // Values that are neither text nor numbers, or are not known, are the same as far as can be told.
        bool same = CountOf(candidate) == CountOf(history) && Equals(KeyValues.TypeOf(candidate), KeyValues.TypeOf(history))
            && (KeyValues.Of(candidate) is not { } values || values.Equals(KeyValues.Of(history)!));
        if (!same)
        {
            throw new InvalidOperationException(
                $"Columns '{candidate.Name}' and '{history.Name}' share embeddings, but their keys stand for different values. "
                + "Map both with the same keys: one MapValueToKey over both columns with keyData, or Hash with the same number of bits.");
        }
    }

    /// <summary>Training holds weights and the best weights so far of every table, and AdamW two moments.</summary>
    private static void CheckMemory(CtrConfig config)
    {
        long copies = config.Options.EmbeddingOptimizer == EmbeddingOptimizer.AdamW ? 4 : 2;
        long available = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        foreach (KeyField field in config.AllFields)
        {
            long bytes = copies * sizeof(float) * field.TotalRows * config.Options.EmbeddingDimension;
            if (bytes > available)
            {
                throw new InvalidOperationException(
                    Invariant($"Column '{field.ColumnName ?? field.HistoryColumnName}' has {field.KeyCount:N0} keys: training its embeddings of dimension ")
                    + Invariant($"{config.Options.EmbeddingDimension} takes {bytes / 1e9:N1} GB, and this machine has {available / 1e9:N1} GB. ")
                    + $"Use {nameof(CtrTrainerOptions.MaximumTableRows)}, {nameof(EmbeddingOptimizer)}.{nameof(EmbeddingOptimizer.RowwiseAdagrad)}, fewer keys (such as Hash with fewer bits) "
                    + $"or a smaller {nameof(CtrTrainerOptions.EmbeddingDimension)}.");
            }
        }
    }
}
