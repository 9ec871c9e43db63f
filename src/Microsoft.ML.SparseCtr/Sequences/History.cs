using Microsoft.ML.Data;

namespace Microsoft.ML.SparseCtr;

/// <summary>The events before a row: places in one index or several, oldest first.</summary>
internal sealed class History
{
    private readonly List<(EventIndex Index, Range Places)> _parts = [];
    private int _length;

    /// <summary>How many of a user's events are left out of a history: so many, a multiple of the stride, that it is no longer than it may be.</summary>
    public static long Skipped(long events, int maximumLength, int stride)
        => events <= maximumLength ? 0 : (events - maximumLength + stride - 1) / stride * stride;

    /// <summary>Finds the latest events of an id, strictly before a time.</summary>
    /// <returns>Whether any of the indexes knows the id.</returns>
    public bool Find(IReadOnlyList<EventIndex> indexes, IdReader id, long before, int maximumLength, int stride)
    {
        _parts.Clear();
        _length = 0;
        bool isKnown = false;
        foreach (EventIndex index in indexes)
        {
            int number = index.Ids.Find(id);
            if (number < 0)
                continue;
            isKnown = true;
            Range places = index.Before(number, before);
            _parts.Add((index, places));
            _length += places.GetOffsetAndLength(index.Count).Length;
        }

        int skipped = (int)Skipped(_length, maximumLength, stride);
        _length -= skipped;
        // Later indexes hold later events: the first ones lose what is skipped.
        while (skipped > 0)
        {
            (EventIndex index, Range places) = _parts[0];
            (int start, int length) = places.GetOffsetAndLength(index.Count);
            int dropped = Math.Min(skipped, length);
            skipped -= dropped;
            if (dropped == length)
                _parts.RemoveAt(0);
            else
                _parts[0] = (index, (start + dropped)..(start + length));
        }
        return isKnown;
    }

    /// <summary>Copies the values of events at places of an index.</summary>
    public delegate void CopyPart<T>(EventIndex index, Range places, Span<T> destination);

    /// <summary>The getter of a column of histories.</summary>
    /// <param name="history">The history of the current row.</param>
    /// <param name="copy">Copies the column's values.</param>
    public static ValueGetter<VBuffer<T>> Getter<T>(Func<History> history, CopyPart<T> copy)
        => (ref VBuffer<T> value) => history().CopyTo(ref value, copy);

    private void CopyTo<T>(ref VBuffer<T> destination, CopyPart<T> copy)
    {
        VBufferEditor<T> editor = VBufferEditor.Create(ref destination, _length);
        int copied = 0;
        foreach ((EventIndex index, Range places) in _parts)
        {
            int length = places.GetOffsetAndLength(index.Count).Length;
            copy(index, places, editor.Values.Slice(copied, length));
            copied += length;
        }
        destination = editor.Commit();
    }
}
