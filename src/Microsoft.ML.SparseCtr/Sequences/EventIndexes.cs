namespace Microsoft.ML.SparseCtr;

/// <summary>
/// The indexes of a log that grows: what is appended becomes an index of its own, merged with the one before once it is no longer much
/// smaller. So there are few, and each event is moved a number of times that is logarithmic in their number.
/// </summary>
/// <param name="newBuilder">Makes an empty builder.</param>
/// <param name="indexes">Those to begin with, older events first.</param>
internal sealed class EventIndexes(Func<EventIndex.Builder> newBuilder, EventIndex[] indexes)
{
    private readonly Lock _appending = new();
    private volatile EventIndex[] _current = indexes;

    /// <summary>All indexes, older events first: later ones are newer for each id.</summary>
    public EventIndex[] Current => _current;

    /// <summary>The same, where there must be some.</summary>
    /// <exception cref="InvalidOperationException">The model was saved without its events, and none have been appended.</exception>
    public EventIndex[] Filled => _current is { Length: > 0 } some ? some : throw new InvalidOperationException(
        "The model was saved without its event log (SaveEvents = false): give it one with model.AppendEvents(log) before it is used.");

    /// <summary>Makes the index to append, given those so far, and returns what then appends it.</summary>
    public Action PrepareToAppend(Func<EventIndex[], EventIndex> build)
    {
        EventIndex[] before = _current;
        EventIndex added = build(before);
        return () =>
        {
            lock (_appending)
            {
                if (_current != before)
                    throw new InvalidOperationException("Events were appended by someone else at the same time: append them one after the other.");
                List<EventIndex> next = [.. before, added];
                while (next.Count > 1 && 2L * next[^1].Count >= next[^2].Count)
                    next = [.. next[..^2], Merge(next[^2], next[^1])];
                _current = [.. next];
            }
        };
    }

    /// <summary>All events in one index.</summary>
    public EventIndex Merged() => _current is [var only] ? only : Merge(_current);

    private EventIndex Merge(params EventIndex[] parts)
    {
        EventIndex.Builder builder = newBuilder();
        foreach (EventIndex part in parts)
            builder.AddRange(part);
        return builder.Build();
    }
}
