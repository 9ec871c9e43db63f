using System.Runtime.InteropServices;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// A user's history as a model has encoded it: candidates are scored with it without a look at the history (<see cref="CtrScorer.Score(UserState, ReadOnlySpan{CtrCandidate}, Span{float})"/>), and it
/// grows with the user's events (<see cref="CtrScorer.Append"/>). Not safe for use while it grows.
/// </summary>
public sealed class UserState
{
    private const uint Magic = 0x5355_5443; // "CTUS"
    private const int Version = 1;

    private readonly CtrConfig _config;

    /// <summary>Events that are not in the history any more.</summary>
    private long _leftOut;

    internal UserState(ScoringNetwork network, CtrConfig config)
    {
        (Network, _config, Encoding) = (network, config, network.NewEncoding());
        Events = new CtrHistory([], config.SequenceFields.Select(_ => Array.Empty<int>()).ToArray());
    }

    /// <summary>Events of the history that count.</summary>
    public int Count => Events.Timestamps.Length;

    /// <summary>Unix seconds of the events that count, oldest first.</summary>
    public ReadOnlySpan<long> Timestamps => Events.Timestamps;

    /// <summary>Unix seconds of the latest event; 0 where there is none.</summary>
    public long LastTimestamp => Count == 0 ? 0 : Events.Timestamps[^1];

    /// <summary>Bytes of memory, about: what a cache of states goes by.</summary>
    public long ByteSize => Count * (sizeof(long) + (long)sizeof(int) * Events.Keys.Length) + (Encoding?.ByteSize ?? 0);

    internal ScoringNetwork Network { get; }

    /// <summary>The latest of the user's events, as many as count.</summary>
    internal CtrHistory Events { get; private set; }

    /// <summary>Null where the network keeps no more of a history than its events.</summary>
    internal HistoryEncoding? Encoding { get; }

    internal void Append(CtrHistory events)
    {
        long all = _leftOut + Count + events.Timestamps.Length;
        int leaving = (int)(History.Skipped(all, _config.Options.HistoryLength, _config.Options.HistoryStride) - _leftOut);
        var latest = new CtrHistory(Joined(Events.Timestamps, events.Timestamps, leaving),
            Events.Keys.Zip(events.Keys, (old, more) => Joined(old, more, leaving)).ToArray());
        if (Encoding is not null)
            Encode(latest, hasLost: leaving > 0);
        (Events, _leftOut) = (latest, _leftOut + leaving);
    }

    /// <param name="events">The events that are to be encoded.</param>
    /// <param name="hasLost">Whether those that are encoded do not begin as they do.</param>
    private void Encode(CtrHistory events, bool hasLost)
    {
        try
        {
            if (hasLost)
                Encoding!.Clear();
            Network.Encode(Encoding!, new Request { HistoryTimestamps = events.Timestamps, HistoryKeys = events.Keys, Impressions = [] });
        }
        catch
        {
            // Where there was not enough memory, say. Part of it is of no use: the next ones to come have all encoded anew.
            Encoding!.Clear();
            throw;
        }
    }

    /// <summary>Whether what is encoded is what was appended: not so where an <see cref="Append"/> failed in its midst.</summary>
    internal bool IsWhole => Encoding is null || Encoding.Count == Count;

    private static T[] Joined<T>(T[] first, T[] second, int skipped)
    {
        var joined = new T[first.Length + second.Length - skipped];
        ReadOnlySpan<T> kept = first.AsSpan(Math.Min(skipped, first.Length));
        kept.CopyTo(joined);
        second.AsSpan(Math.Max(0, skipped - first.Length)).CopyTo(joined.AsSpan(kept.Length));
        return joined;
    }

    /// <summary>
    /// Writes the state, for <see cref="CtrScorer.ReadState"/> of a scorer with the same model: 56 bytes; for each event 8, and 4 for each column of the history; for each block of
    /// SparseCtr and DenseAttention 8·d for each chunk, each of its last r events and each of the w latest, as many as there are.
    /// </summary>
    /// <param name="stream">Where to.</param>
    /// <exception cref="IOException">It cannot be written there.</exception>
    public void Save(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        using var writer = new BinaryWriter(stream, System.Text.Encoding.UTF8, leaveOpen: true);
        writer.Write(Magic);
        writer.Write(Version);
        writer.Write(Network.Identity.Span);
        writer.Write(_leftOut);
        writer.Write(Count);
        writer.Write(Events.Keys.Length);
        writer.Write(MemoryMarshal.AsBytes(Events.Timestamps.AsSpan()));
        foreach (int[] keys in Events.Keys)
            writer.Write(MemoryMarshal.AsBytes(keys.AsSpan()));
        Encoding?.Write(writer);
    }

    /// <exception cref="FormatException">There is no such state, or one of a newer version, or of another model.</exception>
    internal static UserState Read(Stream stream, ScoringNetwork network, CtrConfig config)
    {
        using var reader = new BinaryReader(stream, System.Text.Encoding.UTF8, leaveOpen: true);
        try
        {
            if (reader.ReadUInt32() != Magic)
                throw Unreadable("it does not begin as one");
            int version = reader.ReadInt32();
            if (version != Version)
                throw Unreadable($"it has format version {version}; this library reads version {Version}");
            if (!reader.ReadBytes(network.Identity.Length).AsSpan().SequenceEqual(network.Identity.Span))
                throw Unreadable("it was encoded by another model");
            var state = new UserState(network, config) { _leftOut = reader.ReadInt64() };
            (int count, int fields) = (reader.ReadInt32(), reader.ReadInt32());
            if (!CanBe(count, state._leftOut, config.Options) || fields != state.Events.Keys.Length)
                throw Unreadable($"it claims {count} events of {fields} columns, after {state._leftOut} that are left out");
            state.Events = new CtrHistory(Values<long>(count), Enumerable.Range(0, fields).Select(_ => Values<int>(count)).ToArray());
            for (int i = 0; i < count; i++)
            {
                if (state.Events.Timestamps[i] < (i == 0 ? 0 : state.Events.Timestamps[i - 1]))
                    throw Unreadable($"its event {i} is before the one before it, or before 1970");
            }
            state.Encoding?.Read(reader, state.Events.Timestamps);
            return state;
        }
        catch (EndOfStreamException problem)
        {
            throw new FormatException("The user state cannot be read: it ends too early.", problem);
        }

        // By the window rule, events are left out by whole strides, and no more of them than there have to be.
        static bool CanBe(int count, long leftOut, CtrTrainerOptions options) => count >= 0 && count <= options.HistoryLength
            && (leftOut == 0 || leftOut > 0 && leftOut <= long.MaxValue / 2 && leftOut % options.HistoryStride == 0 && count > options.HistoryLength - options.HistoryStride);

        T[] Values<T>(int count) where T : unmanaged
        {
            var values = new T[count];
            stream.ReadExactly(MemoryMarshal.AsBytes(values.AsSpan()));
            return values;
        }

        static FormatException Unreadable(string why) => new($"The user state cannot be read: {why}.");
    }
}
