namespace Microsoft.ML.SparseCtr;

/// <summary>A tensor of float32 in memory that no library but .NET is needed for. Embedding tables may have more numbers than an array.</summary>
internal sealed unsafe class Weight(string name, params long[] shape)
{
    private readonly NativeBuffer<float> _values = new(CountOf(shape));

    public string Name => name;

    public long[] Shape => shape;

    public long Count => CountOf(shape);

    /// <summary>The numbers, row after row; they live as long as this object.</summary>
    public float* Values => _values.Pointer;

    private static long CountOf(long[] shape) => shape.Aggregate(1L, (count, size) => checked(count * size));
}

/// <summary>The weights of a network by their names, in the order of the model file.</summary>
internal sealed class Weights
{
    private readonly Dictionary<string, Weight> _byName;

    /// <exception cref="FormatException">Two weights have the same name.</exception>
    public Weights(IEnumerable<Weight> all)
    {
        All = all.ToArray();
        _byName = [];
        foreach (Weight weight in All)
        {
            if (!_byName.TryAdd(weight.Name, weight))
                throw new FormatException($"there are two tensors {weight.Name}");
        }
    }

    public IReadOnlyList<Weight> All { get; }

    /// <summary>Null where there is no weight of the name.</summary>
    public Weight? Find(string name) => _byName.GetValueOrDefault(name);
}

/// <summary>Gives weights to the parts of a network that they are for: each part takes its own, by names within it, and says what shapes it expects.</summary>
internal sealed class WeightReader
{
    private readonly string _prefix;
    private readonly HashSet<string> _taken;

    public WeightReader(Weights weights) : this(weights, "", [])
    {
    }

    private WeightReader(Weights weights, string prefix, HashSet<string> taken) => (Weights, _prefix, _taken) = (weights, prefix, taken);

    public Weights Weights { get; }

    /// <summary>Of a part of the part.</summary>
    public WeightReader In(string part) => new(Weights, $"{_prefix}{part}.", _taken);

    /// <exception cref="FormatException">There is no such weight, or it has another shape.</exception>
    public Weight Take(string name, params long[] shape)
    {
        Weight? weight = Weights.Find(_prefix + name);
        if (weight is null || !weight.Shape.SequenceEqual(shape))
        {
            string actual = weight is null ? "there is none" : $"it has shape {Text(weight.Shape)}";
            throw new FormatException($"the network needs a tensor {_prefix}{name} of shape {Text(shape)}, but {actual}");
        }
        _taken.Add(weight.Name);
        return weight;
    }

    /// <summary>Null where there is no such weight.</summary>
    /// <exception cref="FormatException">It has another shape.</exception>
    public Weight? TakeIfThere(string name, params long[] shape) => Weights.Find(_prefix + name) is null ? null : Take(name, shape);

    /// <exception cref="FormatException">There is a weight that no part has taken.</exception>
    public void CheckAllTaken()
    {
        if (Weights.All.FirstOrDefault(weight => !_taken.Contains(weight.Name)) is { } left)
            throw new FormatException($"the network has no tensor {left.Name} of shape {Text(left.Shape)}");
    }

    private static string Text(long[] shape) => $"[{string.Join(", ", shape)}]";
}
