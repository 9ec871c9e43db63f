using FsCheck;
using FsCheck.Fluent;
using Microsoft.ML.SearchSpace;
using Microsoft.ML.SearchSpace.Option;

namespace Microsoft.ML.Tests;

public class SearchSpaceTests
{
    private enum Activation
    {
        Relu,
        Tanh,
    }

    private class Inner
    {
        [Range(0f, 1f)] public float Dropout { get; set; }
        public int Kept { get; set; } = 3;
    }

    private class Options
    {
        [Range(1, 4, 2)] public int Layers { get; set; }
        [Range(1e-5, 1e-1, 1e-3, true)] public double Rate { get; set; }
        [Range(16, 256, 64, true)] public int Width { get; set; }
        [Range(0.5f, 1f)] public float Decay { get; set; }
        [Choice("a", "b", "c")] public string Name { get; set; }
        [Choice([Activation.Relu, Activation.Tanh], Activation.Tanh)] public Activation Activation { get; set; }
        [BooleanChoice] public bool Bias { get; set; }
        [BooleanChoice(false)] public bool Shared { get; set; }
        [NestOption] public Inner Inner { get; set; } = new();
        [Range(0f, 1f)] public float Field = 0.25f;
        public string Label { get; set; } = "Label";
        public int? Seed { get; set; }
        public int[] Sizes { get; set; } = [];
        public uint Unsigned { get; set; } = 7;
        public TimeSpan Limit { get; set; } = TimeSpan.FromSeconds(5);
    }

    private static readonly SearchSpace<Options> _space = new();

    private static double[] Everywhere(double place) => [.. Enumerable.Repeat(place, _space.FeatureSpaceDim)];

    private static double[] RandomPlace(int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, _space.FeatureSpaceDim).Select(_ => random.NextDouble())];
    }

    [Fact]
    public void ParametersComeBackAsWhatTheyWere()
    {
        Assert.Equal(3, Parameter.FromInt(3).AsType<int>());
        Assert.Equal(0.1, Parameter.FromFloat(0.1f).AsType<double>());
        Assert.Equal(1L << 40, Parameter.FromLong(1L << 40).AsType<long>());
        Assert.Equal(Activation.Tanh, Parameter.FromEnum(Activation.Tanh).AsType<Activation>());
        Assert.Equal([1, 2], Parameter.FromIEnumerable([1, 2]).AsType<int[]>());
        var options = new Options { Layers = 3, Name = "b", Bias = true, Seed = 9, Sizes = [4, 5], Inner = new() { Dropout = 0.5f } };
        var back = Parameter.FromObject(options).AsType<Options>();
        Assert.Equal((3, "b", true, 9, 0.5f), (back.Layers, back.Name, back.Bias, back.Seed, back.Inner.Dropout));
        Assert.Equal([4, 5], back.Sizes);
    }

    [Fact]
    public void ParametersAreJson()
    {
        var parameter = Parameter.CreateNestedParameter();
        parameter["A"] = Parameter.FromDouble(0.5);
        parameter["B"] = Parameter.FromBool(true);
        parameter["C"] = Parameter.CreateNestedParameter(KeyValuePair.Create("D", Parameter.FromEnum(Activation.Relu)));
        Assert.Equal("""{"A":0.5,"B":true,"C":{"D":"Relu"}}""", parameter.ToString());
        var back = System.Text.Json.JsonSerializer.Deserialize<Parameter>(parameter.ToString());
        Assert.True(parameter.Equals(back));
        Assert.Equal(parameter.GetHashCode(), back.GetHashCode());
        Assert.Equal([ParameterType.Number, ParameterType.Bool, ParameterType.Object], back.Keys.Select(key => back[key].ParameterType));
        Assert.Throws<InvalidOperationException>(() => back["A"]["B"]);
    }

    [Fact]
    public void TheSearchBeginsWithWhatTheAttributesSayAndOtherwiseWithTheFirstValue()
    {
        var options = _space.SampleFromFeatureSpace(_space.Default);
        Assert.Equal((2, 1e-3, "a", Activation.Tanh), (options.Layers, Math.Round(options.Rate, 12), options.Name, options.Activation));
        Assert.Equal((0.5f, true, false, 0f), (options.Decay, options.Bias, options.Shared, options.Inner.Dropout));
        Assert.Equal(("Label", 3), (options.Label, options.Inner.Kept));
    }

    [Fact]
    public void DefaultsAreKeptWhereTheyAreNotSearchedAndJsonHasThem()
    {
        var defaults = new Options { Layers = 3, Label = "Click", Seed = 5, Sizes = [1, 2], Unsigned = 8, Limit = TimeSpan.Zero };
        defaults.Inner.Kept = 4;
        var space = new SearchSpace<Options>(defaults);
        var options = space.SampleFromFeatureSpace(space.Default);
        Assert.Equal((2, "Click", 5, 4), (options.Layers, options.Label, options.Seed, options.Inner.Kept));
        Assert.Equal([1, 2], options.Sizes);
        Assert.Equal((7u, 5), (options.Unsigned, options.Limit.Seconds));
    }

    [Fact]
    public void FieldsAreInTheSpaceButDoNotComeBack()
    {
        Assert.Contains("Field", _space.Keys);
        Assert.Equal(0.25f, _space.SampleFromFeatureSpace(Everywhere(0.9)).Field);
    }

    [Fact]
    public void SamplesAreWithinTheirRanges() => Prop.ForAll<int>(seed =>
    {
        var options = _space.SampleFromFeatureSpace(RandomPlace(seed));
        return options is { Layers: >= 1 and < 4, Rate: >= 1e-5 and <= 1e-1, Width: >= 16 and < 256, Decay: >= 0.5f and <= 1f,
            Name: "a" or "b" or "c", Inner.Dropout: >= 0 and <= 1 };
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void SamplesLieWhereTheyAreMappedTo() => Prop.ForAll<int>(seed =>
    {
        var space = new SearchSpace.SearchSpace
        {
            ["double"] = new UniformDoubleOption(1, 100, logBase: true), ["float"] = new UniformSingleOption(-1, 1),
            ["choice"] = new ChoiceOption("x", "y", "z"),
        };
        var random = new Random(seed);
        var sample = space.SampleFromFeatureSpace([random.NextDouble(), random.NextDouble(), random.NextDouble()]);
        var again = space.SampleFromFeatureSpace(space.MappingToFeatureSpace(sample));
        return again["choice"].Equals(sample["choice"])
            && Math.Abs(again["double"].AsType<double>() - sample["double"].AsType<double>()) < 1e-9
            && Math.Abs(again["float"].AsType<float>() - sample["float"].AsType<float>()) < 1e-5;
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void OnALogarithmicScaleTheMiddleIsTheGeometricMean()
    {
        Assert.Equal(1e-3, new UniformDoubleOption(1e-5, 1e-1, logBase: true).SampleFromFeatureSpace([0.5]).AsType<double>(), 12);
        Assert.Equal(0.5, new UniformDoubleOption(1e-5, 1e-1, logBase: true).MappingToFeatureSpace(Parameter.FromDouble(1e-3))[0], 12);
        Assert.Throws<ArgumentException>(() => new UniformIntOption(0, 10, logBase: true));
    }

    [Fact]
    public void TheUpperBoundOfIntegersIsSampledFromTheEndAlone()
    {
        var option = new UniformIntOption(1, 4);
        Assert.Equal([1, 3, 4], new[] { 0, 0.999999, 1 }.Select(place => option.SampleFromFeatureSpace([place]).AsType<int>()));
    }

    [Fact]
    public void ASingleChoiceTakesNoDimension()
    {
        var option = new ChoiceOption("only");
        Assert.Equal(0, option.FeatureSpaceDim);
        Assert.Equal("only", option.SampleFromFeatureSpace([]).AsType<string>());
    }

    [Fact]
    public void InfinityIsNoJson() => Assert.ThrowsAny<ArgumentException>(() =>
    {
        var space = new SearchSpace<Unbounded>(new() { Bound = double.PositiveInfinity });
        space.SampleFromFeatureSpace(space.Default);
    });

    private class Unbounded
    {
        public double Bound { get; set; }
    }
}
