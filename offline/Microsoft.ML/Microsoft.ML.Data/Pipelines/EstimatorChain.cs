using Microsoft.ML.Runtime;

namespace Microsoft.ML.Data;

/// <summary>Estimators one after the other: each is fitted on what the transformers before it make of the data.</summary>
public sealed class EstimatorChain<TLastTransformer> : IEstimator<TransformerChain<TLastTransformer>>
    where TLastTransformer : class, ITransformer
{
    private readonly EstimatorStep[] _steps;

    public readonly IEstimator<TLastTransformer> LastEstimator;

    public EstimatorChain() => _steps = [];

    internal EstimatorChain(EstimatorStep[] steps)
    {
        _steps = steps;
        LastEstimator = (IEstimator<TLastTransformer>)steps[^1].Estimator;
    }

    public EstimatorChain<TNewTrans> Append<TNewTrans>(IEstimator<TNewTrans> estimator,
        TransformerScope scope = TransformerScope.Everything)
        where TNewTrans : class, ITransformer
    {
        Contracts.CheckValue(null, estimator, nameof(estimator));
        return new EstimatorChain<TNewTrans>([.. _steps, new EstimatorStep(estimator, scope)]);
    }

    /// <summary>Keeps in memory what the estimators after this point are fitted on.</summary>
    public EstimatorChain<TLastTransformer> AppendCacheCheckpoint(IHostEnvironment env)
    {
        Contracts.CheckValue(null, env, nameof(env));
        return _steps.Length == 0 ? this : new EstimatorChain<TLastTransformer>([.. _steps[..^1], _steps[^1] with { CacheAfter = true }]);
    }

    public TransformerChain<TLastTransformer> Fit(IDataView input)
    {
        Contracts.CheckValue(null, input, nameof(input));
        GetOutputSchema(SchemaShape.Create(input.Schema)); // what does not fit together is found before anything is fitted
        var transformers = new List<ITransformer>();
        foreach (var step in _steps)
        {
            transformers.Add(step.Estimator.Fit(input));
            if (transformers.Count < _steps.Length)
            {
                input = transformers[^1].Transform(input);
                if (step.CacheAfter)
                    input = new CacheDataView(input);
            }
        }
        return new TransformerChain<TLastTransformer>(transformers, _steps.Select(step => step.Scope));
    }

    public SchemaShape GetOutputSchema(SchemaShape inputSchema) =>
        _steps.Aggregate(inputSchema, (schema, step) => step.Estimator.GetOutputSchema(schema));
}

/// <summary>An estimator of a chain, and whether what it makes is cached.</summary>
internal readonly record struct EstimatorStep(IEstimator<ITransformer> Estimator, TransformerScope Scope, bool CacheAfter = false);
