using System.Buffers.Binary;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// The safetensors format: the length of a JSON header (8 bytes, little endian), the header, then the tensors' bytes one after the other.
/// No code can hide in it, and Python reads it. Tensors are float32.
/// </summary>
internal static unsafe class SafeTensors
{
    private const string Float32 = "F32";
    private const int MaximumHeaderLength = 16 << 20;

    // Spans are limited to 2 GB, tensors are not.
    private const int FloatsPerPart = 1 << 20;

    /// <summary>What the header says of one tensor: its place is in bytes from the end of the header.</summary>
    internal sealed record Entry(string Name, long[] Shape, long Start, long End);

    public static void Write(Stream stream, Weights weights)
    {
        var header = new JsonObject();
        long offset = 0;
        foreach (Weight weight in weights.All)
        {
            long end = offset + weight.Count * sizeof(float);
            header[weight.Name] = new JsonObject
            {
                ["dtype"] = Float32,
                ["shape"] = new JsonArray(weight.Shape.Select(size => (JsonNode)size).ToArray()),
                ["data_offsets"] = new JsonArray(offset, end),
            };
            offset = end;
        }

        byte[] json = JsonSerializer.SerializeToUtf8Bytes(header);
        Span<byte> length = stackalloc byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(length, (ulong)json.Length);
        stream.Write(length);
        stream.Write(json);
        foreach (Weight weight in weights.All)
            ForEachPart(weight, part => stream.Write(part));
    }

    /// <exception cref="FormatException">It is no file of float32 tensors.</exception>
    /// <exception cref="EndOfStreamException">The stream ends before the tensors do.</exception>
    public static Weights Read(Stream stream)
    {
        // All sizes have been checked before memory is taken for the first.
        var weights = new Weights(ReadHeader(stream).Select(entry => new Weight(entry.Name, entry.Shape)));
        foreach (Weight weight in weights.All)
            ForEachPart(weight, stream.ReadExactly);
        return weights;
    }

    /// <summary>Reads the header and holds every size in it against every other, and against what is left of the stream.</summary>
    /// <returns>The tensors in the order of their bytes.</returns>
    /// <exception cref="FormatException">It is not the header of a file of float32 tensors.</exception>
    public static IReadOnlyList<Entry> ReadHeader(Stream stream)
    {
        Span<byte> lengthBytes = stackalloc byte[sizeof(ulong)];
        stream.ReadExactly(lengthBytes);
        ulong length = BinaryPrimitives.ReadUInt64LittleEndian(lengthBytes);
        if (length > MaximumHeaderLength || (stream.CanSeek && (long)length > stream.Length - stream.Position))
            throw new FormatException($"the weights' header claims {length:N0} bytes");
        var json = new byte[length];
        stream.ReadExactly(json);

        Entry[] entries = Parse(json).OrderBy(entry => entry.Start).ThenBy(entry => entry.End).ToArray();
        long next = 0;
        foreach (Entry entry in entries)
        {
            Int128 bytes = sizeof(float);
            foreach (long size in entry.Shape)
                bytes = size < 0 || bytes > long.MaxValue ? throw Wrong(entry) : bytes * size;
            if (entry.Start != next || entry.End < entry.Start || entry.End - entry.Start != bytes)
                throw Wrong(entry);
            next = entry.End;
        }
        if (stream.CanSeek && stream.Length - stream.Position != next)
            throw new FormatException($"the weights take {next:N0} bytes, but {stream.Length - stream.Position:N0} are there");
        return entries;

        static FormatException Wrong(Entry entry)
            => new($"tensor {entry.Name} of shape [{string.Join(", ", entry.Shape)}] cannot be at bytes {entry.Start} to {entry.End}");
    }

    private delegate void PartAction(Span<byte> part);

    private static void ForEachPart(Weight weight, PartAction action)
    {
        for (long start = 0; start < weight.Count; start += FloatsPerPart)
            action(new Span<byte>(weight.Values + start, (int)Math.Min(FloatsPerPart, weight.Count - start) * sizeof(float)));
        GC.KeepAlive(weight);
    }

    private static List<Entry> Parse(byte[] json)
    {
        var entries = new List<Entry>();
        try
        {
            using JsonDocument document = JsonDocument.Parse(json);
            foreach (JsonProperty property in document.RootElement.EnumerateObject().Where(property => property.Name != "__metadata__"))
            {
                if (property.Value.GetProperty("dtype").GetString() != Float32)
                    throw new FormatException($"tensor {property.Name} is not {Float32}");
                long[] shape = property.Value.GetProperty("shape").EnumerateArray().Select(size => size.GetInt64()).ToArray();
                JsonElement place = property.Value.GetProperty("data_offsets");
                entries.Add(new Entry(property.Name, shape, place[0].GetInt64(), place[1].GetInt64()));
            }
        }
        catch (Exception problem) when (problem is JsonException or InvalidOperationException or KeyNotFoundException or IndexOutOfRangeException)
        {
            throw new FormatException($"the weights' header is not one of safetensors ({problem.Message})", problem);
        }
        return entries;
    }
}
