namespace Microsoft.ML.SearchSpace.Option;

/// <summary>A number from a range; on a logarithmic scale, if asked for.</summary>
public abstract class UniformNumericOption : OptionBase
{
    public UniformNumericOption(double min, double max, bool logBase = false)
    {
        Check(max > min, "max must be larger than min.");
        Check(min > 0 || !logBase, "min must be larger than 0 if logBase is true.");
        Min = min;
        Max = max;
        LogBase = logBase;
        Default = [0];
    }

    public double Min { get; }

    public double Max { get; }

    public bool LogBase { get; }

    public override int FeatureSpaceDim => 1;

    public override int?[] Step => [null];

    public override double[] MappingToFeatureSpace(Parameter param)
    {
        double value = param.AsType<double>();
        Check(value >= Min && value <= Max, $"{value} is not within [{Min}, {Max}]");
        return [LogBase ? Place(Math.Log(value), Math.Log(Min), Math.Log(Max)) : Place(value, Min, Max)];
    }

    // In ML.NET's order of operations: the place of an int may lie a rounding error below it, and then the int before it is sampled.
    private static double Place(double value, double min, double max) => value / (max - min) - min / (max - min);

    public override Parameter SampleFromFeatureSpace(double[] values)
    {
        Check(values.Length == 1, "values length must be 1");
        double place = values[0];
        Check(place is >= 0 and <= 1, $"{place} must be between [0,1]");
        return Parameter.FromDouble(LogBase ? Min * Math.Pow(Max / Min, place) : Min + (Max - Min) * place);
    }
}

public sealed class UniformDoubleOption : UniformNumericOption
{
    public UniformDoubleOption(double min, double max, bool logBase = false, double? defaultValue = null) : base(min, max, logBase)
    {
        if (defaultValue is { } value)
            Default = MappingToFeatureSpace(Parameter.FromDouble(value));
    }
}

public sealed class UniformSingleOption : UniformNumericOption
{
    public UniformSingleOption(float min, float max, bool logBase = false, float? defaultValue = null) : base(min, max, logBase)
    {
        if (defaultValue is { } value)
            Default = MappingToFeatureSpace(Parameter.FromFloat(value));
    }

    public override double[] MappingToFeatureSpace(Parameter param) =>
        base.MappingToFeatureSpace(Parameter.FromDouble(param.AsType<float>()));

    public override Parameter SampleFromFeatureSpace(double[] values) =>
        Parameter.FromFloat((float)base.SampleFromFeatureSpace(values).AsType<double>());
}

/// <summary>An integer. It is rounded down: the upper bound is sampled from the place 1 alone.</summary>
public sealed class UniformIntOption : UniformNumericOption
{
    public UniformIntOption(int min, int max, bool logBase = false, int? defaultValue = null) : base(min, max, logBase)
    {
        if (defaultValue is { } value)
            Default = MappingToFeatureSpace(Parameter.FromInt(value));
    }

    public override double[] MappingToFeatureSpace(Parameter param) =>
        base.MappingToFeatureSpace(Parameter.FromDouble(param.AsType<int>()));

    public override Parameter SampleFromFeatureSpace(double[] values) =>
        Parameter.FromInt((int)Math.Floor(base.SampleFromFeatureSpace(values).AsType<double>()));
}
