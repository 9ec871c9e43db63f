using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML;

/// <summary>Puts pipelines together.</summary>
public static class LearningPipelineExtensions
{
    public static EstimatorChain<TTrans> Append<TTrans>(this IEstimator<ITransformer> start, IEstimator<TTrans> estimator,
        TransformerScope scope = TransformerScope.Everything) where TTrans : class, ITransformer =>
        Start(start).Append(estimator, scope);

    public static TransformerChain<TTrans> Append<TTrans>(this ITransformer start, TTrans transformer) where TTrans : class, ITransformer
    {
        Contracts.CheckValue(null, start, nameof(start));
        Contracts.CheckValue(null, transformer, nameof(transformer));
        return start is TransformerChain<ITransformer> chain ? chain.Append(transformer) : new TransformerChain<TTrans>(start, transformer);
    }

    /// <summary>Keeps in memory what the estimators after this point are fitted on.</summary>
    public static EstimatorChain<TTrans> AppendCacheCheckpoint<TTrans>(this IEstimator<TTrans> start, IHostEnvironment env)
        where TTrans : class, ITransformer =>
        Start(start).AppendCacheCheckpoint(env);

    private static EstimatorChain<TTrans> Start<TTrans>(IEstimator<TTrans> start) where TTrans : class, ITransformer
    {
        Contracts.CheckValue(null, start, nameof(start));
        return new EstimatorChain<ITransformer>().Append(start);
    }
}
