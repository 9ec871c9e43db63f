using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Microsoft.ML.SparseCtr;

/// <summary>The file that a training goes on from after an interruption: a hash of all that follows, the seed, what is trained, and the state.</summary>
internal sealed class Checkpoint(string path)
{
    /// <summary>To be raised with every change of what the state is made of.</summary>
    private const int FormatVersion = 3;

    /// <summary>What tells one training from another, as far as can be told without comparing the rows. Any device may go on with a training.</summary>
    /// <param name="summary">What is known of the training data, and the options.</param>
    /// <param name="seed">The seed that was asked for.</param>
    /// <param name="hasValidationData">Whether there are other rows to validate on.</param>
    public static JsonObject Describe(DataSummary summary, int? seed, bool hasValidationData)
    {
        using var config = new StringWriter();
        ModelFile.WriteConfig(summary.Config, config);
        return new JsonObject
        {
            ["checkpointVersion"] = FormatVersion,
            ["seed"] = seed,
            ["model"] = JsonNode.Parse(config.ToString()),
            ["hasValidationData"] = hasValidationData,
            ["trainingRequests"] = summary.TrainingRequests,
            ["skippedRows"] = summary.SkippedRows,
            ["holdOutAfter"] = summary.HoldOutAfter,
        };
    }

    /// <summary>Replaces the file; one that cannot be written leaves the one before as it is.</summary>
    public void Save(JsonObject training, int seed, Action<StateStream> carry) => AtomicFile.Replace(path, file =>
    {
        using var stream = new FileStream(file, FileMode.Create, FileAccess.ReadWrite);
        stream.Write(new byte[SHA256.HashSizeInBytes]);
        var state = new StateStream(stream, isReading: false);
        byte[] description = JsonSerializer.SerializeToUtf8Bytes(training);
        state.Carry(ref seed);
        state.Carry(ref description);
        carry(state);

        stream.Position = SHA256.HashSizeInBytes;
        byte[] hash = SHA256.HashData(stream);
        stream.Position = 0;
        stream.Write(hash);
    });

    /// <summary>The seed of the training that the file is of; null where there is no file.</summary>
    /// <exception cref="FormatException">The file is no checkpoint, or a damaged one.</exception>
    /// <exception cref="InvalidOperationException">It is of another training than this one.</exception>
    public int? FindSeed(JsonObject training)
    {
        if (!File.Exists(path))
            return null;
        using FileStream stream = File.OpenRead(path);
        if (!IsWhole(stream))
        {
            throw new FormatException(
                $"'{path}' is no checkpoint of a training, or a damaged one: expected what its first bytes are the hash of. Delete it to train from the beginning.");
        }
        (_, int seed, JsonNode saved) = ReadHeader(stream);
        if (FirstDifference("", saved, training) is { } difference)
        {
            throw new InvalidOperationException($"'{path}' is the checkpoint of another training: expected {difference}. "
                + "Go on with that training, or delete the file to train from the beginning.");
        }
        return seed;
    }

    /// <summary>Brings the state back from a file that <see cref="FindSeed"/> has found.</summary>
    public void Restore(Action<StateStream> carry)
    {
        using FileStream stream = File.OpenRead(path);
        (StateStream state, _, _) = ReadHeader(stream);
        carry(state);
    }

    public void Delete() => File.Delete(path);

    private static bool IsWhole(FileStream stream)
    {
        if (stream.Length < SHA256.HashSizeInBytes)
            return false;
        var hash = new byte[SHA256.HashSizeInBytes];
        stream.ReadExactly(hash);
        return hash.AsSpan().SequenceEqual(SHA256.HashData(stream));
    }

    private static (StateStream State, int Seed, JsonNode Training) ReadHeader(FileStream stream)
    {
        stream.Position = SHA256.HashSizeInBytes;
        var state = new StateStream(stream, isReading: true);
        int seed = 0;
        byte[] description = [];
        state.Carry(ref seed);
        state.Carry(ref description);
        return (state, seed, JsonNode.Parse(description)!);
    }

    /// <summary>Such as "model.network.options.batchSize to be 64, not 128"; null where there is none.</summary>
    private static string? FirstDifference(string path, JsonNode? saved, JsonNode? now)
    {
        if (JsonNode.DeepEquals(saved, now))
            return null;
        IEnumerable<string?> differences = (saved, now) switch
        {
            (JsonObject before, JsonObject after)
                => before.Concat(after).Select(member => member.Key).Select(name => FirstDifference($"{path}.{name}", before[name], after[name])),
            (JsonArray before, JsonArray after) when before.Count == after.Count
                => before.Select((_, i) => FirstDifference($"{path}[{i}]", before[i], after[i])),
            _ => [$"{path[1..]} to be {saved?.ToJsonString() ?? "null"}, not {now?.ToJsonString() ?? "null"}"],
        };
        return differences.First(difference => difference is not null);
    }
}
