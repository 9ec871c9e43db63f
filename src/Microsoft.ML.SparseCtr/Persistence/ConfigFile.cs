using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace Microsoft.ML.SparseCtr;

/// <summary>A config.json: the version of its format, and one object that says what was saved.</summary>
internal static class ConfigFile
{
    private const int FormatVersion = 5;
    private const string VersionName = "formatVersion";

    private static readonly JsonSerializerOptions s_json = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        Converters = { new JsonStringEnumConverter() },
    };

    public static void Write<T>(string name, T config, TextWriter writer) => writer.Write(new JsonObject
    {
        [VersionName] = FormatVersion,
        [name] = JsonSerializer.SerializeToNode(config, s_json),
    }.ToJsonString(s_json));

    /// <param name="name">The name of the object.</param>
    /// <param name="json">The text.</param>
    /// <param name="check">Throws, as it likes, where the object is not as it should be.</param>
    /// <param name="upgrade">Makes an object of an earlier version, which it is told, one of this version.</param>
    /// <exception cref="FormatException">The text is no such configuration, or one of a newer version.</exception>
    public static T Parse<T>(string name, string json, Action<T> check, Action<JsonObject, int>? upgrade = null)
    {
        try
        {
            JsonNode root = JsonNode.Parse(json) ?? throw new FormatException("it is empty");
            int version = root[VersionName]?.GetValue<int>() ?? throw new FormatException($"it has no {VersionName}");
            if (version < 1)
                throw new FormatException($"it has format version {version}");
            if (version > FormatVersion)
            {
                throw new FormatException(
                    $"it has format version {version}, and this version of Microsoft.ML.SparseCtr reads up to {FormatVersion}: use a newer one");
            }
            JsonObject saved = root[name]?.AsObject() ?? throw new FormatException($"it has no {name}");
            upgrade?.Invoke(saved, version);
            T config = saved.Deserialize<T>(s_json)!;
            check(config);
            return config;
        }
        // Options of no kind are not supported, says the serializer.
        catch (Exception problem) when (problem is JsonException or NotSupportedException or InvalidOperationException or FormatException or ArgumentException)
        {
            throw new FormatException($"The SparseCtr model cannot be read: config.json: {problem.Message}", problem);
        }
    }
}
