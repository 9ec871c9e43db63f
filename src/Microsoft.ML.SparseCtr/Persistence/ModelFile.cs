using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// The two files of a saved network: config.json, which says what it is, and weights.safetensors. Reading trusts neither: versions, ranges
/// and sizes are checked before anything is allocated by them.
/// </summary>
internal static class ModelFile
{
    private const string Network = "network";

    public static void WriteConfig(CtrConfig config, TextWriter writer) => ConfigFile.Write(Network, config, writer);

    public static void WriteWeights(Weights weights, Stream stream) => SafeTensors.Write(stream, weights);

    /// <summary>The SHA-256 of all that is saved.</summary>
    public static unsafe byte[] Identity(CtrConfig config, Weights weights)
    {
        const long most = 1 << 28;
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var text = new StringWriter();
        WriteConfig(config, text);
        hash.AppendData(Encoding.UTF8.GetBytes(text.ToString()));
        foreach (Weight weight in weights.All)
        {
            hash.AppendData(Encoding.UTF8.GetBytes(weight.Name));
            for (long i = 0; i < weight.Count; i += most)
                hash.AppendData(new ReadOnlySpan<byte>(weight.Values + i, (int)Math.Min(most, weight.Count - i) * sizeof(float)));
        }
        GC.KeepAlive(weights);
        return hash.GetHashAndReset();
    }

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

    /// <summary>What is allocated is what the stream has been found to hold, whatever the configuration says.</summary>
    /// <exception cref="FormatException">The stream does not hold the weights of such a network.</exception>
    public static ScoringNetwork ReadNetwork(CtrConfig config, Stream stream)
    {
        try
        {
            return ScoringNetwork.Create(config, SafeTensors.Read(stream));
        }
        catch (Exception problem) when (problem is FormatException or EndOfStreamException)
        {
            throw new FormatException($"The SparseCtr model cannot be read: {problem.Message}.", problem);
        }
    }
}
