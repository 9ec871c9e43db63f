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

    /// <summary>MLContext's seed; null where it has none.</summary>
    public static int? SeedOf(IHostEnvironment environment) => (environment as IHostEnvironmentInternal)?.Seed;

    /// <summary>MLContext.GpuDeviceId; null means the CPU.</summary>
    public static int? GpuDeviceIdOf(IHostEnvironment environment) => (environment as IHostEnvironmentInternal)?.GpuDeviceId;

    /// <summary>MLContext.FallbackToCpu.</summary>
    public static bool FallsBackToCpu(IHostEnvironment environment) => (environment as IHostEnvironmentInternal)?.FallbackToCpu ?? false;

    /// <summary>Throws <see cref="OperationCanceledException"/> once ML.NET has canceled the context, as AutoML does with its trials.</summary>
    public static void CheckAlive(IHostEnvironment environment) => Contracts.CheckAlive(environment);

    public static SchemaShape ShapeOf(DataViewSchema schema) => SchemaShape.Create(schema);

    /// <summary>The shape of a scalar output column of a binary classifier.</summary>
    public static SchemaShape.Column ScoreColumnShape(string name, DataViewType type, bool isNormalized) => new(
        name, SchemaShape.Column.VectorKind.Scalar, type, isKey: false, new SchemaShape(AnnotationUtils.GetTrainerOutputAnnotation(isNormalized)));
}
