using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.SparseCtr.Interop;

/// <summary>
/// The few internal members of ML.NET that a trainer of one's own cannot do without (dotnet/machinelearning issue 6839). Nothing outside
/// this folder uses any; docs/architecture.md says how they are reached.
/// </summary>
internal static class MLNetInternals
{
    public static IHostEnvironment EnvironmentOf(RankingCatalog.RankingTrainers catalog) => catalog.GetEnvironment();

    public static IHostEnvironment EnvironmentOf(TransformsCatalog catalog) => catalog.GetEnvironment();

    public static IHostEnvironment EnvironmentOf(DataOperationsCatalog catalog) => catalog.GetEnvironment();

    /// <summary>MLContext's seed; null where it has none.</summary>
    public static int? SeedOf(IHostEnvironment environment) => (environment as IHostEnvironmentInternal)?.Seed;

    /// <summary>MLContext.GpuDeviceId; null means the CPU.</summary>
    public static int? GpuDeviceIdOf(IHostEnvironment environment) => (environment as IHostEnvironmentInternal)?.GpuDeviceId;

    /// <summary>MLContext.FallbackToCpu.</summary>
    public static bool FallsBackToCpu(IHostEnvironment environment) => (environment as IHostEnvironmentInternal)?.FallbackToCpu ?? false;

    /// <summary>Throws <see cref="OperationCanceledException"/> once ML.NET has canceled the context, as AutoML does with its trials.</summary>
    public static void CheckAlive(IHostEnvironment environment) => Contracts.CheckAlive(environment);

    public static SchemaShape ShapeOf(DataViewSchema schema) => SchemaShape.Create(schema);

    /// <summary>A shape with further columns, which take the place of those of the same name.</summary>
    public static SchemaShape WithColumns(this SchemaShape shape, IEnumerable<SchemaShape.Column> added)
    {
        SchemaShape.Column[] columns = added.ToArray();
        return new SchemaShape(shape.Where(column => columns.All(other => other.Name != column.Name)).Concat(columns));
    }

    /// <summary>The shape of a scalar column.</summary>
    public static SchemaShape.Column ScalarShape(string name, DataViewType type) => new(name, SchemaShape.Column.VectorKind.Scalar, type, isKey: false);

    /// <summary>The shape of a column of vectors of any length.</summary>
    public static SchemaShape.Column VectorShape(string name, DataViewType itemType, DataViewSchema.Annotations? annotations = null)
        => new(name, SchemaShape.Column.VectorKind.VariableVector, itemType, isKey: false, annotations is null ? null : ShapeOf(annotations.Schema));

    /// <summary>The shape of a column of vectors of any length of keys.</summary>
    /// <param name="name">The column's name.</param>
    /// <param name="ofKeys">The annotations of a column with the same keys.</param>
    public static SchemaShape.Column KeyVectorShape(string name, SchemaShape ofKeys) => new(
        name, SchemaShape.Column.VectorKind.VariableVector, NumberDataViewType.UInt32, isKey: true, new SchemaShape(ofKeys.Where(annotation => annotation.Name == "KeyValues")));

    /// <summary>The shape of a scalar output column of a binary classifier.</summary>
    public static SchemaShape.Column ScoreColumnShape(string name, DataViewType type, bool isNormalized) => new(
        name, SchemaShape.Column.VectorKind.Scalar, type, isKey: false, new SchemaShape(AnnotationUtils.GetTrainerOutputAnnotation(isNormalized)));
}
