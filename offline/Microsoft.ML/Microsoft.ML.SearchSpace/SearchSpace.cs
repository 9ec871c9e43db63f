using System.Collections;
using System.Reflection;
using Microsoft.ML.SearchSpace.Option;

namespace Microsoft.ML.SearchSpace;

/// <summary>Options by name. In the feature space they lie one after the other, ordered by name.</summary>
public class SearchSpace : OptionBase, IDictionary<string, OptionBase>
{
    private readonly Dictionary<string, OptionBase> _options = [];
    private readonly Parameter _defaults;

    public SearchSpace()
    {
    }

    /// <summary>The members of a type that have an attribute saying how they are searched.</summary>
    protected SearchSpace(Type typeInfo, Parameter defaultOption = null)
    {
        _defaults = defaultOption;
        foreach (var field in typeInfo.GetFields(BindingFlags.Public | BindingFlags.Instance))
            AddMember(field, field.FieldType);
        foreach (var property in typeInfo.GetProperties(BindingFlags.Public | BindingFlags.Instance))
            AddMember(property, property.PropertyType);
    }

    private IEnumerable<KeyValuePair<string, OptionBase>> Ordered => _options.OrderBy(pair => pair.Key);

    private ICollection<KeyValuePair<string, OptionBase>> Pairs => _options;

    public override double[] Default => [.. Ordered.SelectMany(pair => pair.Value.Default)];

    public override int FeatureSpaceDim => _options.Values.Sum(option => option.FeatureSpaceDim);

    public override int?[] Step => [.. Ordered.SelectMany(pair => pair.Value.Step)];

    public override double[] MappingToFeatureSpace(Parameter parameter) =>
        [.. Ordered.SelectMany(pair => pair.Value.MappingToFeatureSpace(parameter[pair.Key]))];

    public override Parameter SampleFromFeatureSpace(double[] feature)
    {
        Check(feature.Length == FeatureSpaceDim, "input feature doesn't match");
        var result = Parameter.CreateNestedParameter();
        int start = 0;
        foreach (var (name, option) in Ordered)
        {
            int end = start + option.FeatureSpaceDim;
            result[name] = option.SampleFromFeatureSpace(feature[start..end]);
            start = end;
        }
        return Overlay(_defaults, result);
    }

    private static Parameter Overlay(Parameter below, Parameter above)
    {
        if (below is not { ParameterType: ParameterType.Object } || above.ParameterType != ParameterType.Object)
            return above;
        var result = Parameter.CreateNestedParameter([.. below]);
        foreach (var (name, value) in (IDictionary<string, Parameter>)above)
            result[name] = Overlay(below.TryGetValue(name, out var other) ? other : null, value);
        return result;
    }

    private void AddMember(MemberInfo member, Type type)
    {
        var options = member.GetCustomAttributes(inherit: false).Select(attribute => ToOption(attribute, type))
            .Where(option => option is not null).ToArray();
        Check(options.Length <= 1, $"{member.Name} can only define one of the choice|range|option attribute");
        if (options.Length == 1)
            Add(member.Name, options[0]);
    }

    private static OptionBase ToOption(object attribute, Type type)
    {
        switch (attribute)
        {
            case RangeAttribute { Min: int min, Max: int max } range:
                return new UniformIntOption(min, max, range.LogBase, (int?)range.Init);
            case RangeAttribute range:
                Check(type != typeof(int) && type != typeof(short) && type != typeof(long),
                    "UniformDoubleOption or UniformSingleOption can't apply to property or field which type is int or short or long");
                return range is { Min: float low, Max: float high }
                    ? new UniformSingleOption(low, high, range.LogBase, (float?)range.Init)
                    : new UniformDoubleOption((double)range.Min, (double)range.Max, range.LogBase, (double?)range.Init);
            case ChoiceAttribute choice:
                Type[] types = [typeof(string), typeof(int), typeof(short), typeof(long), typeof(float), typeof(double), typeof(char)];
                Check(type.IsEnum || types.Contains(type),
                    $"ChoiceAttribute can only apply to enum or the following types {string.Join(",", types.Select(known => known.Name))}");
                return new ChoiceOption(choice.Candidates, choice.DefaultValue);
            case BooleanChoiceAttribute choice:
                Check(type == typeof(bool), "BooleanChoice can only apply to property or field which type is bool");
                return new ChoiceOption([true, false], choice.DefaultValue);
            case NestOptionAttribute:
                return new SearchSpace(type);
            default:
                return null;
        }
    }

    public int Count => _options.Count;

    public bool IsReadOnly => Pairs.IsReadOnly;

    public OptionBase this[string key]
    {
        get => _options[key];
        set => _options[key] = value;
    }

    public ICollection<string> Keys => _options.Keys;

    public ICollection<OptionBase> Values => _options.Values;

    public void Add(string key, OptionBase value) => _options.Add(key, value);

    public void Add(KeyValuePair<string, OptionBase> item) => Pairs.Add(item);

    public void Clear() => _options.Clear();

    public bool Contains(KeyValuePair<string, OptionBase> item) => Pairs.Contains(item);

    public bool ContainsKey(string key) => _options.ContainsKey(key);

    public void CopyTo(KeyValuePair<string, OptionBase>[] array, int arrayIndex) => Pairs.CopyTo(array, arrayIndex);

    public bool Remove(string key) => _options.Remove(key);

    public bool Remove(KeyValuePair<string, OptionBase> item) => Pairs.Remove(item);

    public bool TryGetValue(string key, out OptionBase value) => _options.TryGetValue(key, out value);

    public IEnumerator<KeyValuePair<string, OptionBase>> GetEnumerator() => _options.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}

/// <summary>
/// The search space of a type. Where an object is given, what is not searched is taken from its properties; what is searched begins
/// with the value that its attribute says, not with the object's.
/// </summary>
public sealed class SearchSpace<T> : SearchSpace where T : class, new()
{
    public SearchSpace() : base(typeof(T))
    {
    }

    public SearchSpace(T defaultOption) : base(typeof(T), Parameter.FromObject(defaultOption))
    {
    }

    public new T SampleFromFeatureSpace(double[] feature) => base.SampleFromFeatureSpace(feature).AsType<T>();

    public double[] MappingToFeatureSpace(T input) => MappingToFeatureSpace(Parameter.FromObject(input));
}
