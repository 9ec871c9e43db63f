using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML;

/// <summary>What the catalogs of the kinds of machine learning have in common.</summary>
public abstract class TrainCatalogBase : IInternalCatalog
{
    private protected readonly IHost Environment;

    private protected TrainCatalogBase(IHostEnvironment env, string name) => Environment = env.Register(name);

    IHostEnvironment IInternalCatalog.Environment => Environment;

    /// <summary>Finds trainers: they are extension methods of the classes derived from this one.</summary>
    public abstract class CatalogInstantiatorBase : IInternalCatalog
    {
        private readonly IHostEnvironment _env;

        private protected CatalogInstantiatorBase(IHostEnvironment env) => _env = env;

        IHostEnvironment IInternalCatalog.Environment => _env;
    }
}

public sealed class BinaryClassificationCatalog : TrainCatalogBase
{
    internal BinaryClassificationCatalog(IHostEnvironment env) : base(env, nameof(BinaryClassificationCatalog)) =>
        Trainers = new BinaryClassificationTrainers(env);

    public BinaryClassificationTrainers Trainers { get; }

    /// <summary>The quality of scores and calibrated probabilities.</summary>
    public CalibratedBinaryClassificationMetrics Evaluate(IDataView data, string labelColumnName = "Label",
        string scoreColumnName = "Score", string probabilityColumnName = "Probability", string predictedLabelColumnName = "PredictedLabel")
    {
        Environment.CheckNonEmpty(probabilityColumnName, nameof(probabilityColumnName));
        return BinaryClassifierEvaluator.Evaluate(Environment, data, labelColumnName, scoreColumnName, probabilityColumnName,
            predictedLabelColumnName);
    }

    /// <summary>The quality of scores.</summary>
    public BinaryClassificationMetrics EvaluateNonCalibrated(IDataView data, string labelColumnName = "Label",
        string scoreColumnName = "Score", string predictedLabelColumnName = "PredictedLabel") =>
        BinaryClassifierEvaluator.EvaluateNonCalibrated(Environment, data, labelColumnName, scoreColumnName, predictedLabelColumnName);

    public sealed class BinaryClassificationTrainers : CatalogInstantiatorBase
    {
        internal BinaryClassificationTrainers(IHostEnvironment env) : base(env)
        {
        }
    }
}

public sealed class RankingCatalog : TrainCatalogBase
{
    internal RankingCatalog(IHostEnvironment env) : base(env, nameof(RankingCatalog)) => Trainers = new RankingTrainers(env);

    public RankingTrainers Trainers { get; }

    /// <summary>The quality of the order by score within groups of consecutive rows.</summary>
    public RankingMetrics Evaluate(IDataView data, string labelColumnName = "Label", string rowGroupColumnName = "GroupId",
        string scoreColumnName = "Score") =>
        Evaluate(data, new RankingEvaluatorOptions(), labelColumnName, rowGroupColumnName, scoreColumnName);

    public RankingMetrics Evaluate(IDataView data, RankingEvaluatorOptions options, string labelColumnName = "Label",
        string rowGroupColumnName = "GroupId", string scoreColumnName = "Score") =>
        RankingEvaluator.Evaluate(Environment, data, options, labelColumnName, rowGroupColumnName, scoreColumnName);

    public sealed class RankingTrainers : CatalogInstantiatorBase
    {
        internal RankingTrainers(IHostEnvironment env) : base(env)
        {
        }
    }
}
