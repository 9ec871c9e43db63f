using Microsoft.ML.Data;
using Microsoft.ML.SearchSpace;
using Microsoft.ML.SearchSpace.Option;

namespace Microsoft.ML.AutoML;

/// <summary>
/// Estimators, called e0, e1, ..., and the chains of them that may be built: a parameter has the options of each under its name, and the
/// chain, as "e0 * e2", under "_SCHEMA_".
/// </summary>
public class SweepablePipeline : ISweepable<EstimatorChain<ITransformer>>
{
    private const string SchemaOption = "_SCHEMA_";

    /// <summary>The chains, each a list of names.</summary>
    private readonly string[][] _chains;

    private string _currentSchema;

    internal SweepablePipeline() : this([], [[]])
    {
    }

    private SweepablePipeline(Dictionary<string, SweepableEstimator> estimators, string[][] chains)
    {
        Estimators = estimators;
        _chains = chains;
        _currentSchema = ToSchema(chains[0]);
    }

    public Dictionary<string, SweepableEstimator> Estimators { get; }

    public SearchSpace.SearchSpace SearchSpace
    {
        get
        {
            var result = new SearchSpace.SearchSpace();
            foreach (var (name, estimator) in Estimators)
                result.Add(name, estimator.SearchSpace);
            result.Add(SchemaOption, new ChoiceOption([.. _chains.Select(ToSchema)]));
            return result;
        }
    }

    /// <summary>The defaults of the estimators, and the chain that was built or shown last.</summary>
    public Parameter CurrentParameter
    {
        get
        {
            var result = Parameter.CreateNestedParameter();
            foreach (var (name, estimator) in Estimators)
                result[name] = estimator.Parameter;
            result[SchemaOption] = Parameter.FromString(_currentSchema);
            return result;
        }
    }

    public EstimatorChain<ITransformer> BuildFromOption(MLContext context, Parameter parameter)
    {
        _currentSchema = parameter[SchemaOption].AsType<string>();
        return ToChain(_currentSchema).Aggregate(new EstimatorChain<ITransformer>(), (chain, name) =>
            chain.Append(Estimators[name].BuildFromOption(context, parameter[name])));
    }

    /// <summary>Appends one of the alternatives to each of the chains.</summary>
    public SweepablePipeline Append(params ISweepable<IEstimator<ITransformer>>[] sweepables)
    {
        var estimators = new Dictionary<string, SweepableEstimator>(Estimators);
        var alternatives = new List<string[]>();
        foreach (var sweepable in sweepables)
        {
            if (sweepable is SweepableEstimator estimator)
            {
                alternatives.Add([Add(estimator)]);
            }
            else if (sweepable is SweepablePipeline pipeline)
            {
                var names = pipeline.Estimators.ToDictionary(pair => pair.Key, pair => Add(pair.Value));
                alternatives.AddRange(pipeline._chains.Select(chain => chain.Select(name => names[name]).ToArray()));
            }
        }
        return new SweepablePipeline(estimators,
            [.. from chain in _chains from alternative in alternatives select (string[])[.. chain, .. alternative]]);

        string Add(SweepableEstimator estimator)
        {
            string name = $"e{estimators.Count}";
            estimators.Add(name, estimator);
            return name;
        }
    }

    /// <summary>The pipeline that has this chain alone.</summary>
    public SweepablePipeline BuildSweepableEstimatorPipeline(string schema)
    {
        string[] chain = ToChain(schema);
        return new SweepablePipeline(chain.ToDictionary(name => name, name => Estimators[name]), [chain]);
    }

    /// <summary>The kinds of the estimators of the chain that a trial's parameter names: those that users make have none.</summary>
    public string ToString(Parameter parameter)
    {
        _currentSchema = parameter[AutoMLExperiment.PipelineSearchspaceName][SchemaOption].AsType<string>();
        return string.Join("=>", ToChain(_currentSchema).Select(_ => "Unknown"));
    }

    private static string ToSchema(string[] chain) => string.Join(" * ", chain);

    private static string[] ToChain(string schema) =>
        schema.Split('*', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
}
