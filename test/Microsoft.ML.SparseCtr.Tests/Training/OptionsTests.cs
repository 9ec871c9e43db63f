using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>Options are what a search space sweeps and what a model file holds.</summary>
public class OptionsTests
{
    public static TheoryData<string> Trainers => new(TinyClicks.Trainers);

    /// <summary>AutoML takes options apart by their properties and puts them together from JSON.</summary>
    [Theory]
    [MemberData(nameof(Trainers))]
    public void Every_option_comes_back_from_the_JSON_of_its_property(string trainer)
    {
        var json = new JsonSerializerOptions { Converters = { new JsonStringEnumConverter() } };
        Type type = TinyClicks.Options(trainer).GetType();
        object changed = Activator.CreateInstance(type)!;
        var parameters = new JsonObject();
        foreach (PropertyInfo option in Saved(type))
        {
            option.SetValue(changed, Another(option.PropertyType));
            parameters[option.Name] = JsonSerializer.SerializeToNode(option.GetValue(changed), option.PropertyType, json);
        }
        object back = parameters.Deserialize(type, json)!;
        Assert.All(Saved(type), option => Assert.Equal(option.GetValue(changed), option.GetValue(back)));

        static object Another(Type type) => Nullable.GetUnderlyingType(type) is { } value ? Another(value)
            : type == typeof(string) ? "Other"
            : type == typeof(string[]) ? new[] { "Other" }
            : type.IsEnum ? Enum.GetValues(type).GetValue(1)!
            : Convert.ChangeType(7, type);
    }

    [Theory]
    [InlineData(typeof(AttentionBranches))]
    [InlineData(typeof(TemporalTerms))]
    public void Every_combination_of_flags_has_a_name(Type flags)
    {
        int all = Convert.ToInt32(Enum.GetValues(flags).Cast<object>().Max());
        Assert.All(Enumerable.Range(1, all), combination => Assert.NotNull(Enum.GetName(flags, combination)));
    }

    /// <summary>A file with an option that a version does not know is refused: who adds or renames one gives the format another version (ConfigFile), and changes this list.</summary>
    [Theory]
    [InlineData("SparseCtr", "Branches, Chunking, LocalWindow, NumberOfChunks, TransitionBehaviors, " + SelfAttention)]
    [InlineData("DenseAttention", SelfAttention)]
    [InlineData("Eta", "FingerprintBits, LocalWindow, RetrievedBehaviors, " + All)]
    [InlineData("TargetAttention", "LocalWindow, " + All)]
    public void The_options_of_format_version_4_are_these(string trainer, string names)
        => Assert.Equal(names.Split(", ").Order(), Saved(TinyClicks.Options(trainer).GetType()).Select(option => option.Name).Order());

    /// <summary>Where a training writes what is its own business alone.</summary>
    private static IEnumerable<PropertyInfo> Saved(Type options) => options.GetProperties().Where(option => option.GetCustomAttribute<JsonIgnoreAttribute>() is null);

    private const string SelfAttention = "AttentionImplementation, FeedForwardDimension, MixedPrecision, NumberOfBlocks, TemporalTerms, TimeScaleSeconds, UtcOffsetHours, " + All;

    private const string All = "BatchSize, CandidateColumnNames, Dropout, EarlyStoppingPatience, EmbeddingDimension, EmbeddingOptimizer, GradientClipping, HeadDimension, "
        + "HistoryColumnNames, HistoryItemColumnName, HistoryLength, HistoryStride, HistoryTimestampColumnName, ItemColumnName, ItemDropout, LabelColumnName, "
        + "LearningRate, MaximumTableRows, ModelDimension, NumberOfEpochs, NumberOfHeads, NumberOfThreads, NumericColumnNames, RequestsPerHistory, "
        + "RowGroupColumnName, Seed, ShufflePoolSize, TimestampColumnName, TokenDropout, UserColumnNames, ValidationFraction, WarmupFraction, WeightDecay";
}
