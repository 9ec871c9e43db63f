using Microsoft.ML.Data;
using static System.FormattableString;

namespace Microsoft.ML.SparseCtr;

/// <summary>Which of a user's events <see cref="BehaviorSequenceTransformer"/> leaves in a history, as annotations of the column of its timestamps.</summary>
/// <param name="Length">The most events.</param>
/// <param name="Stride">By how many at a time the oldest are left out.</param>
internal readonly record struct HistoryWindow(int Length, int Stride)
{
    public static HistoryWindow? Of(DataViewSchema.Column timestamps)
        => Read(timestamps.Annotations, nameof(CtrTrainerOptions.HistoryLength)) is { } length
            && Read(timestamps.Annotations, nameof(CtrTrainerOptions.HistoryStride)) is { } stride ? new(length, stride) : null;

    public DataViewSchema.Annotations ToAnnotations()
    {
        var annotations = new DataViewSchema.Annotations.Builder();
        annotations.AddPrimitiveValue(nameof(CtrTrainerOptions.HistoryLength), NumberDataViewType.Int32, Length);
        annotations.AddPrimitiveValue(nameof(CtrTrainerOptions.HistoryStride), NumberDataViewType.Int32, Stride);
        return annotations.ToAnnotations();
    }

    /// <summary>What is wrong with a trainer's options for such histories; null where nothing is.</summary>
    public string? ProblemWith(CtrTrainerOptions options) => (Length, Stride) == (options.HistoryLength, options.HistoryStride) ? null
        : Invariant($"BehaviorSequence leaves at most {Length} events in '{options.HistoryTimestampColumnName}', with a stride of {Stride}, but the trainer has ")
            + Invariant($"{nameof(options.HistoryLength)} {options.HistoryLength} and {nameof(options.HistoryStride)} {options.HistoryStride}: chunks are planned for that length, ")
            + $"and {nameof(CtrScorer)} cuts by it. Give both the same.";

    private static int? Read(DataViewSchema.Annotations annotations, string kind)
    {
        if (annotations.Schema.GetColumnOrNull(kind) is not { Type: NumberDataViewType type } || type != NumberDataViewType.Int32)
            return null;
        int value = 0;
        annotations.GetValue(kind, ref value);
        return value;
    }
}
