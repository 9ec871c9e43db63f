namespace Microsoft.ML.SearchSpace.Option;

/// <summary>What can be searched, by its values' places in the feature space: a vector of numbers from 0 to less than 1.</summary>
public abstract class OptionBase
{
    /// <summary>The place of the value to begin with.</summary>
    public virtual double[] Default { get; protected set; }

    public abstract int FeatureSpaceDim { get; }

    /// <summary>How many values there are in each dimension; null where they are continuous.</summary>
    public abstract int?[] Step { get; }

    public abstract double[] MappingToFeatureSpace(Parameter value);

    public abstract Parameter SampleFromFeatureSpace(double[] values);

    private protected static void Check(bool condition, string message)
    {
        if (!condition)
            throw new ArgumentException(message);
    }
}
