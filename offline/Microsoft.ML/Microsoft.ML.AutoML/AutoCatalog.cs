using Microsoft.ML.SearchSpace;

namespace Microsoft.ML.AutoML;

public static class MLContextExtension
{
    public static AutoCatalog Auto(this MLContext mlContext) => new(mlContext);
}

/// <summary>Makes experiments, and the estimators that they sweep.</summary>
public sealed class AutoCatalog
{
    private readonly MLContext _context;

    internal AutoCatalog(MLContext context) => _context = context;

    public AutoMLExperiment CreateExperiment(AutoMLExperiment.AutoMLExperimentSettings settings = null) =>
        new(_context, settings ?? new AutoMLExperiment.AutoMLExperimentSettings());

    /// <summary>An estimator that is made anew, for each trial, from the trial's context and options.</summary>
    public SweepableEstimator CreateSweepableEstimator<T>(Func<MLContext, T, IEstimator<ITransformer>> factory,
        SearchSpace<T> ss = null) where T : class, new()
    {
        ArgumentNullException.ThrowIfNull(ss);
        return new SweepableEstimator((context, parameter) => factory(context, parameter.AsType<T>()), ss);
    }
}
