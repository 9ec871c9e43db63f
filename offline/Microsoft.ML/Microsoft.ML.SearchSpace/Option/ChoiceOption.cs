namespace Microsoft.ML.SearchSpace.Option;

/// <summary>One of several values. A single value takes no dimension.</summary>
public sealed class ChoiceOption : OptionBase
{
    private readonly UniformSingleOption _index;

    public ChoiceOption(params object[] choices)
    {
        Check(choices.Length is > 0 and < 1074, "the length of choices must be (0, 1074)");
        Check(choices.Distinct().Count() == choices.Length, "choices must not contain repeated values");
        Choices = [.. choices.Select(Parameter.FromObject)];
        _index = new UniformSingleOption(0, Choices.Length);
        Default = new double[FeatureSpaceDim];
    }

    public ChoiceOption(object[] choices, object defaultChoice) : this(choices)
    {
        if (defaultChoice is not null)
            Default = MappingToFeatureSpace(Parameter.FromObject(defaultChoice));
    }

    public Parameter[] Choices { get; }

    public override int FeatureSpaceDim => Choices.Length == 1 ? 0 : 1;

    public override int?[] Step => FeatureSpaceDim == 0 ? [] : [Choices.Length];

    public override double[] MappingToFeatureSpace(Parameter param)
    {
        if (FeatureSpaceDim == 0)
            return [];
        int index = Array.IndexOf(Choices, param);
        Check(index >= 0, $"{param} not contains");
        return _index.MappingToFeatureSpace(Parameter.FromInt(index));
    }

    public override Parameter SampleFromFeatureSpace(double[] values) => values.Length == 0
        ? Choices[0]
        : Choices[Math.Min((int)_index.SampleFromFeatureSpace(values).AsType<float>(), Choices.Length - 1)];
}
