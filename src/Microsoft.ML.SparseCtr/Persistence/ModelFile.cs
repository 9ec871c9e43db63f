using System.Text.Json.Nodes;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// The two files of a saved network: config.json, which says what it is, and weights.safetensors. Reading trusts neither: versions, ranges
/// and sizes are checked before anything is allocated by them.
/// </summary>
internal static class ModelFile
{
    private const string Network = "network";

    public static void WriteConfig(CtrConfig config, TextWriter writer) => ConfigFile.Write(Network, config, writer);

    public static void WriteWeights(CtrNetwork network, Stream stream)
        => SafeTensors.Write(stream, WeightsOf(network).Select(weight => (weight.Key, weight.Value)).ToArray());

    /// <exception cref="FormatException">The text is no configuration, or one of a newer version.</exception>
    public static CtrConfig ReadConfig(string json) => ConfigFile.Parse<CtrConfig>(Network, json, config => config.Check((holds, name, expected, value) =>
    {
        if (!holds)
            throw new FormatException($"{name} must be {expected}, not {value}");
    }), Upgrade);

    /// <summary>Before version 3 there was one network, and its sizes stood beside its inputs; before version 2 there was one policy of chunking.</summary>
    private static void Upgrade(JsonObject config, int version)
    {
        if (version >= 3)
            return;
        var options = new JsonObject { ["kind"] = "SparseCtr", ["chunking"] = nameof(ChunkingPolicy.LargestGaps) };
        foreach ((string name, JsonNode? value) in config.Where(member => !member.Key.EndsWith("Fields", StringComparison.Ordinal)).ToArray())
        {
            config.Remove(name);
            options[name] = value;
        }
        config["options"] = options;
    }

    /// <exception cref="FormatException">The stream does not hold the weights of such a network.</exception>
    public static CtrNetwork ReadNetwork(CtrConfig config, Stream stream)
    {
        CtrNetwork? network = null;
        try
        {
            IReadOnlyList<SafeTensors.Entry> header = SafeTensors.ReadHeader(stream);
            CheckTables(config, header);
            network = config.Options.CreateNetwork(config);
            Dictionary<string, Tensor> tensors = WeightsOf(network);
            foreach (SafeTensors.Entry entry in header)
            {
                if (!tensors.TryGetValue(entry.Name, out Tensor? tensor) || !tensor.shape.SequenceEqual(entry.Shape))
                    throw new FormatException($"the network has no tensor {entry.Name} of shape [{string.Join(", ", entry.Shape)}]");
            }
            if (header.Count != tensors.Count)
                throw new FormatException($"{tensors.Count - header.Count} tensors are missing, {tensors.Keys.Except(header.Select(entry => entry.Name)).First()} among them");
            SafeTensors.ReadData(stream, header, tensors);
            network.eval();
            return network;
        }
        catch (Exception problem) when (problem is FormatException or EndOfStreamException)
        {
            network?.Dispose();
            throw Unreadable(problem);
        }
    }

    /// <summary>
    /// Embedding tables are what is large in a true file; the stream has been found to hold what its header says, so that a configuration that agrees with the
    /// header cannot make us allocate tables larger than what was sent. The other weights are bounded by the ranges of the options alone.
    /// </summary>
    private static void CheckTables(CtrConfig config, IReadOnlyList<SafeTensors.Entry> header)
    {
        long claimed = config.AllFields.Sum(field => field.TotalRows * config.Options.EmbeddingDimension);
        long present = header.Sum(entry => (entry.End - entry.Start) / sizeof(float));
        if (claimed > present)
            throw new FormatException($"config.json speaks of {claimed:N0} embedding weights, but there are {present:N0} weights in all");
    }

    /// <summary>Each weight once; state_dict would name it once more for every field that holds its module.</summary>
    private static Dictionary<string, Tensor> WeightsOf(CtrNetwork network)
        => network.named_parameters().ToDictionary(named => named.Item1, Tensor (named) => named.Item2);

    private static FormatException Unreadable(Exception problem) => new($"The SparseCtr model cannot be read: {problem.Message}.", problem);
}
