using System.Collections.Concurrent;
using System.Runtime.InteropServices;

namespace SparseCtr.Samples;

/// <summary>Something that a user did.</summary>
internal readonly record struct ClickEvent(int Item, float Action, bool Clicked, long Timestamp);

/// <summary>How many events, how many of them clicks, and the sum of their actions.</summary>
internal readonly record struct ClickSums(long Count, double Clicks, double Actions)
{
    public ClickSums With(bool clicked, float action) => new(Count + 1, Clicks + (clicked ? 1 : 0), Actions + action);

    public ClickSums With(ClickSums others) => new(Count + others.Count, Clicks + others.Clicks, Actions + others.Actions);
}

/// <summary>What is known of an item but for what was done with it.</summary>
internal sealed record ItemFacts(int Category, int Age, int[] Tags);

/// <summary>A user's events in order of time. To be locked by who uses it.</summary>
internal sealed class UserLog(int id, int[] facts)
{
    private readonly List<ClickEvent> _events = [];

    public int Id => id;

    public int[] Facts => facts;

    public Lock Lock { get; } = new();

    public ReadOnlySpan<ClickEvent> Events => CollectionsMarshal.AsSpan(_events);

    /// <summary>How many of the events are in the user's state of the model that is in use, if there is one.</summary>
    public int Encoded { get; set; }

    /// <summary>The time of the latest event; −1 where there is none.</summary>
    public long LastTimestamp => _events.Count == 0 ? -1 : _events[^1].Timestamp;

    public void Append(ReadOnlySpan<ClickEvent> events) => _events.AddRange(events);

    /// <summary>The events strictly before a time: what a row of that time has as its history.</summary>
    public ReadOnlySpan<ClickEvent> Before(long time)
    {
        int count = _events.Count;
        while (count > 0 && _events[count - 1].Timestamp >= time)
            count--;
        return Events[..count];
    }
}

/// <summary>
/// All that the service knows but for the model: who did what when, what items are, and how often each was shown and clicked up to any time. It
/// begins as a click log, grows by what is posted, and lives in memory: a shop would have a database here.
/// </summary>
internal sealed class ClickStore
{
    private readonly ConcurrentDictionary<int, UserLog> _users = [];
    private readonly Dictionary<int, ItemFacts> _items = [];
    private readonly float _leastClick;

    private readonly Lock _countsLock = new();
    private readonly Dictionary<int, RunningSums> _counts = [];
    private readonly RunningSums _allCounts = new();

    public ClickStore(ClickData data)
    {
        (Name, _leastClick) = (data.Name, data.LeastClick);
        Actions = data.Rows.Select(row => row.Action).Distinct().Order().ToArray();
        foreach (Impression row in data.Rows)
        {
            _items.TryAdd(row.Item, new ItemFacts(row.Category, row.Age, row.Tags));
            Append(_users.GetOrAdd(row.User, id => new UserLog(id, row.UserFacts)), [new ClickEvent(row.Item, row.Action, row.Label, row.Timestamp)]);
        }
    }

    public string Name { get; }

    /// <summary>The actions that there are in the log.</summary>
    public float[] Actions { get; }

    public bool IsClick(float action) => action >= _leastClick;

    public IEnumerable<UserLog> Users => _users.Values;

    /// <summary>Null where the log does not know the item: then it is to the model as any new one.</summary>
    public ItemFacts? Item(int id) => _items.GetValueOrDefault(id);

    /// <summary>A user; one without events where there is no such user, which is not kept, so that asking does not fill the memory.</summary>
    public UserLog User(int id) => _users.GetValueOrDefault(id) ?? new UserLog(id, []);

    public UserLog UserOrNew(int id) => _users.GetOrAdd(id, id => new UserLog(id, []));

    /// <summary>Adds events of a user, who is locked, none of them before the latest that there is.</summary>
    public void Append(UserLog user, ReadOnlySpan<ClickEvent> events)
    {
        user.Append(events);
        lock (_countsLock)
        {
            foreach (IGrouping<int, ClickEvent> ofItem in events.ToArray().GroupBy(one => one.Item))
            {
                ref RunningSums? counts = ref CollectionsMarshal.GetValueRefOrAddDefault(_counts, ofItem.Key, out _);
                (counts ??= new RunningSums()).Add(ofItem.ToArray());
            }
            _allCounts.Add(events);
        }
    }

    /// <summary>What was done with items, and with all together, strictly before a time.</summary>
    public (ClickSums All, ClickSums[] Items) SumsBefore(long time, ReadOnlySpan<int> items)
    {
        var sums = new ClickSums[items.Length];
        lock (_countsLock)
        {
            for (int i = 0; i < sums.Length; i++)
                sums[i] = _counts.GetValueOrDefault(items[i])?.Before(time) ?? default;
            return (_allCounts.Before(time), sums);
        }
    }

    /// <summary>All items of which there are events, and how many.</summary>
    public (int Item, long Shown)[] Shown()
    {
        lock (_countsLock)
            return _counts.Select(item => (item.Key, item.Value.Before(long.MaxValue).Count)).ToArray();
    }

    /// <summary>The sums of a key's events up to each of them, in order of time.</summary>
    private sealed class RunningSums
    {
        private readonly List<long> _times = [];
        private readonly List<ClickSums> _sums = [];

        /// <summary>Adds events in order of time. What is there and later than the first of them is passed over once.</summary>
        public void Add(ReadOnlySpan<ClickEvent> events)
        {
            if (events.IsEmpty)
                return;
            int first = PlaceOf(events[0].Timestamp + 1), next = 0;
            (long[] laterTimes, ClickSums[] laterSums) = ([.. _times[first..]], [.. _sums[first..]]);
            _times.RemoveRange(first, laterTimes.Length);
            _sums.RemoveRange(first, laterSums.Length);
            ClickSums added = default;
            foreach (ClickEvent one in events)
            {
                PutLater(until: one.Timestamp);
                Put(one.Timestamp, (_sums.Count == 0 ? default : _sums[^1]).With(one.Clicked, one.Action));
                added = added.With(one.Clicked, one.Action);
            }
            PutLater(until: long.MaxValue);

            void PutLater(long until)
            {
                for (; next < laterTimes.Length && laterTimes[next] <= until; next++)
                    Put(laterTimes[next], laterSums[next].With(added));
            }

            void Put(long time, ClickSums sums)
            {
                _times.Add(time);
                _sums.Add(sums);
            }
        }

        public ClickSums Before(long time) => PlaceOf(time) is var place && place == 0 ? default : _sums[place - 1];

        /// <summary>How many events are before a time.</summary>
        private int PlaceOf(long time)
        {
            (int from, int to) = (0, _times.Count);
            while (from < to)
            {
                int middle = (from + to) / 2;
                (from, to) = _times[middle] < time ? (middle + 1, to) : (from, middle);
            }
            return from;
        }
    }
}
