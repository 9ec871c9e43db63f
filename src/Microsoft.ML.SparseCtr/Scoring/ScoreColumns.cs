using Microsoft.ML.Data;
using Microsoft.ML.SparseCtr.Interop;

namespace Microsoft.ML.SparseCtr;

/// <summary>The three columns that a transformer adds, with the annotations of ML.NET's binary scorers.</summary>
internal static class ScoreColumns
{
    public const string Score = nameof(Score);
    public const string Probability = nameof(Probability);
    public const string PredictedLabel = nameof(PredictedLabel);

    private const string SetIdAnnotation = "ScoreColumnSetId";

    private static readonly (string Name, PrimitiveDataViewType Type, bool IsNormalized)[] s_columns =
    [
        (Score, NumberDataViewType.Single, false),
        (Probability, NumberDataViewType.Single, true),
        (PredictedLabel, BooleanDataViewType.Instance, false),
    ];

    public static SchemaShape.Column[] Shapes()
        => s_columns.Select(column => MLNetInternals.ScoreColumnShape(column.Name, column.Type, column.IsNormalized)).ToArray();

    public static IEnumerable<DataViewSchema.DetachedColumn> For(DataViewSchema input)
    {
        uint setId = NextSetId(input);
        foreach ((string name, PrimitiveDataViewType type, bool isNormalized) in s_columns)
        {
            var annotations = new DataViewSchema.Annotations.Builder();
            annotations.AddPrimitiveValue(SetIdAnnotation, new KeyDataViewType(typeof(uint), int.MaxValue), setId);
            annotations.AddPrimitiveValue("ScoreColumnKind", TextDataViewType.Instance, "BinaryClassification".AsMemory());
            annotations.AddPrimitiveValue("ScoreValueKind", TextDataViewType.Instance, name.AsMemory());
            if (isNormalized)
                annotations.AddPrimitiveValue("IsNormalized", BooleanDataViewType.Instance, true);
            yield return new DataViewSchema.DetachedColumn(name, type, annotations.ToAnnotations());
        }
    }

    /// <summary>Evaluators tell the columns of several scorers in one pipeline apart by this number.</summary>
    private static uint NextSetId(DataViewSchema schema)
    {
        uint last = 0;
        foreach (DataViewSchema.Column column in schema)
        {
            if (column.Annotations.Schema.GetColumnOrNull(SetIdAnnotation) is { Type: KeyDataViewType { RawType: var raw } } && raw == typeof(uint))
            {
                uint id = 0;
                column.Annotations.GetValue(SetIdAnnotation, ref id);
                last = Math.Max(last, id);
            }
        }
        return last + 1;
    }
}
