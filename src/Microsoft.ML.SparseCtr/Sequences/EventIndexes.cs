namespace Microsoft.ML.SparseCtr;

/// <summary>
/// A log that grows, indexed in one or several ways: what is appended becomes a part of its own, merged with the one before once it is no
/// longer much smaller. So parts are few, and each event is moved a number of times that is logarithmic in their number. Who reads takes all
/// parts at once, as they are, and so sees all of an appended log or none of it.
/// </summary>
/// <param name="newBuilders">Make an empty builder for each way.</param>
/// <param name="first">The first part, an index for each way; null where there are no events yet.</param>
internal sealed class EventIndexes(Func<EventIndex.Builder>[] newBuilders, EventIndex[]? first)
{
    // [way][part], older parts first.
    private volatile EventIndex[][] _current = newBuilders.Select((_, way) => first is null ? Array.Empty<EventIndex>() : [first[way]]).ToArray();

    /// <summary>For each way, the index of each part; there must be some.</summary>
    /// <exception cref="InvalidOperationException">The model was saved without its events, and none have been appended.</exception>
    public EventIndex[][] Filled => _current is [{ Length: > 0 }, ..] some ? some : throw new InvalidOperationException(
        "The model was saved without its event log (SaveEvents = false): give it one with model.AppendEvents(log) before it is used.");

    public long NumberOfEvents => CountOf(_current);

    // The last way has all events; in another one, those without an id may be missing.
    private static long CountOf(EventIndex[][] ways) => ways[^1].Sum(index => (long)index.Count);

    public EventIndex.Builder[] NewBuilders() => newBuilders.Select(make => make()).ToArray();

    /// <summary>Makes the part to append, given those so far, and does all merging. Until it is shown, nothing else must be appended.</summary>
    public Appending PrepareToAppend(Func<EventIndex[][], EventIndex[]> build)
    {
        EventIndex[][] before = _current;
        EventIndex[] added = build(before);
        EventIndex[][] after = before.Select((parts, way) => parts.Append(added[way]).ToArray()).ToArray();
        while (after[^1] is [.., var larger, var last] && 2L * last.Count >= larger.Count && (long)larger.Count + last.Count <= EventIndex.MaximumCount)
            after = after.Select((parts, way) => parts[..^2].Append(Merge(way, parts[^2..])).ToArray()).ToArray();
        return new Appending(this, after);
    }

    /// <summary>For each way, all events in one index.</summary>
    /// <exception cref="InvalidOperationException">There are more events than one index can hold.</exception>
    public EventIndex[] Merged()
    {
        EventIndex[][] current = _current;
        if (CountOf(current) > EventIndex.MaximumCount)
            throw new InvalidOperationException($"More than {EventIndex.MaximumCount:N0} events cannot be saved: set SaveEvents to false.");
        return current.Select((parts, way) => parts is [var only] ? only : Merge(way, parts)).ToArray();
    }

    private EventIndex Merge(int way, EventIndex[] parts)
    {
        EventIndex.Builder builder = newBuilders[way]();
        foreach (EventIndex part in parts)
            builder.AddRange(part);
        return builder.Build();
    }

    /// <summary>An appended part, ready to be seen.</summary>
    internal sealed class Appending(EventIndexes indexes, EventIndex[][] after)
    {
        /// <summary>Shows what was appended, to who reads from now on.</summary>
        public void Show() => indexes._current = after;
    }
}
