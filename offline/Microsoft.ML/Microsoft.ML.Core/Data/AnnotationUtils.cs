namespace Microsoft.ML.Data;

/// <summary>The annotations that have a meaning to ML.NET, and what they look like.</summary>
internal static class AnnotationUtils
{
    /// <summary>The names of annotations.</summary>
    public static class Kinds
    {
        public const string SlotNames = "SlotNames";
        public const string KeyValues = "KeyValues";
        public const string ScoreColumnSetId = "ScoreColumnSetId";
        public const string ScoreColumnKind = "ScoreColumnKind";
        public const string ScoreValueKind = "ScoreValueKind";
        public const string IsNormalized = "IsNormalized";
    }

    /// <summary>The annotations of the score columns that a trainer's model makes.</summary>
    public static IEnumerable<SchemaShape.Column> GetTrainerOutputAnnotation(bool isNormalized = false)
    {
        yield return Scalar(Kinds.ScoreColumnSetId, NumberDataViewType.UInt32, isKey: true);
        yield return Scalar(Kinds.ScoreColumnKind, TextDataViewType.Instance);
        yield return Scalar(Kinds.ScoreValueKind, TextDataViewType.Instance);
        if (isNormalized)
            yield return Scalar(Kinds.IsNormalized, BooleanDataViewType.Instance);

        static SchemaShape.Column Scalar(string name, PrimitiveDataViewType type, bool isKey = false) =>
            new(name, SchemaShape.Column.VectorKind.Scalar, type, isKey);
    }

    /// <summary>The shape of the annotations of a key column whose values are known.</summary>
    public static SchemaShape.Column KeyValuesShape(DataViewType itemType) =>
        new(Kinds.KeyValues, SchemaShape.Column.VectorKind.Vector, itemType, isKey: false);
}
