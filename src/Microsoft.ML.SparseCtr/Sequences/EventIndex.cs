using System.Collections.Concurrent;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// Events by id, column by column: the events of one id stand one after the other, oldest first, those of equal time in the order of the
/// log. Immutable.
/// </summary>
internal sealed class EventIndex
{
    /// <summary>As many events as an index can hold.</summary>
    public static readonly int MaximumCount = Array.MaxLength;

    private readonly int[] _starts;
    private readonly long[] _timestamps;

    private EventIndex(IdMap ids, int[] starts, long[] timestamps, EventColumn[] columns)
        => (Ids, _starts, _timestamps, Columns) = (ids, starts, timestamps, columns);

    /// <summary>Numbers the ids; that of number i has the events at places Starts[i] to Starts[i + 1].</summary>
    public IdMap Ids { get; }

    public ReadOnlySpan<int> Starts => _starts;

    /// <summary>Unix seconds of all events.</summary>
    public ReadOnlySpan<long> Timestamps => _timestamps;

    public EventColumn[] Columns { get; }

    public int Count => _timestamps.Length;

    /// <summary>The places of the events of an id, by its number, strictly before a time.</summary>
    public Range Before(int number, long time)
    {
        int start = _starts[number];
        int low = start, high = _starts[number + 1];
        while (low < high)
        {
            int middle = (low + high) >>> 1;
            if (_timestamps[middle] < time)
                low = middle + 1;
            else
                high = middle;
        }
        return start..low;
    }

    public void Write(ArrayWriter writer)
    {
        Ids.Write(writer);
        writer.Write<int>(_starts);
        writer.Write<long>(_timestamps);
        foreach (EventColumn column in Columns)
            column.Write(writer);
    }

    /// <param name="reader">Where the index stands.</param>
    /// <param name="type">What its ids are.</param>
    /// <param name="readColumns">Reads its columns, given the number of events and where each id's begin.</param>
    /// <exception cref="FormatException">What stands there is no index.</exception>
    public static EventIndex Read(ArrayReader reader, IdType type, Func<ArrayReader, int, int[], EventColumn[]> readColumns)
    {
        IdMap ids = IdMap.Read(reader, type);
        int[] starts = reader.Read<int>(ids.Count + 1);
        long[] timestamps = reader.Read<long>();
        ArrayReader.Require(starts[0] == 0 && starts[^1] == timestamps.Length, $"the index's ids have {starts[^1]:N0} events, but there are {timestamps.Length:N0}");
        for (int number = 0; number < ids.Count; number++)
        {
            ArrayReader.Require(starts[number] <= starts[number + 1] && starts[number + 1] <= timestamps.Length, $"the events of {ids.Name(number)} end before they start");
            for (int i = starts[number]; i < starts[number + 1]; i++)
                ArrayReader.Require(timestamps[i] >= (i > starts[number] ? timestamps[i - 1] : 0), $"the events of {ids.Name(number)} are not in order of time");
        }
        return new EventIndex(ids, starts, timestamps, readColumns(reader, timestamps.Length, starts));
    }

    /// <summary>Takes events as they come, and makes an index of them.</summary>
    /// <param name="type">What the ids are.</param>
    /// <param name="columns">The columns, empty: who adds an event adds its value to each.</param>
    public sealed class Builder(IdType type, EventBuffer[] columns)
    {
        private readonly IdMap _ids = new(type);
        private readonly Blocks<long> _timestamps = new();
        private Blocks<int> _numbers = new();

        public IReadOnlyList<EventBuffer> Columns => columns;

        public IdMap Ids => _ids;

        /// <param name="number">The number of its id in <see cref="Ids"/>.</param>
        /// <param name="timestamp">Unix seconds.</param>
        public void Add(int number, long timestamp)
        {
            if (_timestamps.Count == MaximumCount)
                throw new InvalidOperationException($"An event log of more than {MaximumCount:N0} events must be appended in parts.");
            _numbers.Add(number);
            _timestamps.Add(timestamp);
        }

        public void AddRange(EventIndex index)
        {
            int[] numberHere = _ids.FindOrAddAll(index.Ids);
            for (int number = 0; number < numberHere.Length; number++)
            {
                for (int i = index.Starts[number]; i < index.Starts[number + 1]; i++)
                    _numbers.Add(numberHere[number]);
            }
            _timestamps.AddRange(index.Timestamps);
            foreach ((EventBuffer buffer, EventColumn column) in columns.Zip(index.Columns))
                buffer.AddRange(column);
        }

        /// <summary>Sorts the events into an index; the builder is of no more use.</summary>
        /// <param name="minimumGap">Leaves out events less than this many seconds after the last one of their id that was kept.</param>
        /// <param name="older">The index goes on from these: no event may be older than the last one of its id there.</param>
        /// <exception cref="InvalidOperationException">An event is older.</exception>
        public EventIndex Build(long minimumGap = 0, IReadOnlyList<EventIndex>? older = null)
        {
            // A counting sort by id keeps the order of the log, which mostly is that of time already.
            var starts = new int[_ids.Count + 1];
            for (int i = 0; i < _numbers.Count; i++)
                starts[_numbers[i] + 1]++;
            for (int number = 0; number < _ids.Count; number++)
                starts[number + 1] += starts[number];
            var order = new int[_numbers.Count];
            int[] next = starts[..^1];
            for (int i = 0; i < order.Length; i++)
                order[next[_numbers[i]]++] = i;
            _numbers = new();

            if (_ids.Count > 0)
            {
                Parallel.ForEach(Partitioner.Create(0, _ids.Count), range =>
                {
                    for (int number = range.Item1; number < range.Item2; number++)
                        SortByTime(order.AsSpan(starts[number]..starts[number + 1]));
                });
            }
            if (minimumGap > 0 || older is { Count: > 0 })
                order = Continue(order, starts, minimumGap, older ?? []);
            return new EventIndex(_ids, starts, _timestamps.Gather(order), columns.Select(column => column.Gather(order, starts)).ToArray());
        }

        private void SortByTime(Span<int> events)
        {
            for (int i = 1; i < events.Length; i++)
            {
                if (_timestamps[events[i]] < _timestamps[events[i - 1]])
                {
                    events.Sort((left, right) => _timestamps[left].CompareTo(_timestamps[right]) is int byTime and not 0 ? byTime : left - right);
                    return;
                }
            }
        }

        /// <summary>Checks that each id's events go on from its older ones, and leaves out those too close to the one kept before.</summary>
        private int[] Continue(int[] order, int[] starts, long minimumGap, IReadOnlyList<EventIndex> older)
        {
            int kept = 0;
            for (int number = 0; number < _ids.Count; number++)
            {
                ReadOnlySpan<int> events = order.AsSpan(starts[number]..starts[number + 1]);
                long? last = older.Max(index => index.LastTime(_ids, number));
                if (events.Length > 0 && _timestamps[events[0]] < last)
                {
                    throw new InvalidOperationException(
                        $"Id {_ids.Name(number)} has an event at {_timestamps[events[0]]}, but the index already has one at {last}: only newer events can be appended.");
                }
                starts[number] = kept;
                foreach (int place in events)
                {
                    if (last is null || _timestamps[place] - last >= minimumGap)
                        (order[kept++], last) = (place, _timestamps[place]);
                }
            }
            starts[^1] = kept;
            return order[..kept];
        }
    }

    private long? LastTime(IdMap ids, int number)
    {
        int here = Ids.Find(ids, number);
        return here >= 0 && _starts[here] < _starts[here + 1] ? _timestamps[_starts[here + 1] - 1] : null;
    }
}
