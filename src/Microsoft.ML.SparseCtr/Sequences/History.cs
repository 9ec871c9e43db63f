using Microsoft.ML.Data;

namespace Microsoft.ML.SparseCtr;

/// <summary>The events before a row: places in one index or several, oldest first.</summary>
internal sealed class History
{
    private readonly List<(EventIndex Index, Range Places)> _parts = [];
    private int _length;

    /// <summary>Finds the latest events of an id, at most <paramref name="maximumLength"/>, strictly before a time.</summary>
    /// <returns>Whether any of the indexes knows the id.</returns>
    public bool Find(IReadOnlyList<EventIndex> indexes, IdReader id, long before, int maximumLength)
    {
        _parts.Clear();
        _length = 0;
        bool isKnown = false;
        // Later indexes hold later events.
        for (int i = indexes.Count - 1; i >= 0 && _length < maximumLength; i--)
        {
            int number = indexes[i].Ids.Find(id);
            if (number < 0)
                continue;
            isKnown = true;
            (int start, int length) = indexes[i].Before(number, before).GetOffsetAndLength(indexes[i].Count);
            int taken = Math.Min(length, maximumLength - _length);
            _parts.Insert(0, (indexes[i], (start + length - taken)..(start + length)));
            _length += taken;
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
