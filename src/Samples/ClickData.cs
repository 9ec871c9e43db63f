using Microsoft.ML.Data;
using Microsoft.ML.SparseCtr;

namespace SparseCtr.Samples;

/// <summary>One impression as a pipeline takes it: what was shown to whom and when, the history before it, and whether it was clicked.</summary>
public sealed class Impression
{
    public bool Label { get; set; }

    /// <summary>Unix seconds.</summary>
    public long Timestamp { get; set; }

    /// <summary>The impressions of one user in one second: they share a history.</summary>
    public int Request { get; set; }

    public int User { get; set; }

    public int Item { get; set; }

    /// <summary>What kind of item it is, as one value: a shop's category, a film's set of genres.</summary>
    public int Category { get; set; }

    /// <summary>When the item is from, in classes; 0 where that means nothing.</summary>
    public int Age { get; set; }

    /// <summary>Everything that the item is a bit of: several values for one item.</summary>
    [VectorType]
    public int[] Tags { get; set; } = [];

    /// <summary>What else is known of the user, one value each.</summary>
    [VectorType]
    public int[] UserFacts { get; set; } = [];

    /// <summary>Rates and counts, so far, of the item and of the user: see <see cref="RatesSoFar"/>.</summary>
    [VectorType(RatesSoFar.Count)]
    public float[] Rates { get; set; } = [];

    /// <summary>The hour of the day as a point on a circle, and whether it is a weekend (UTC).</summary>
    [VectorType(3)]
    public float[] Moment { get; set; } = [];

    // The user's events before this second, oldest first.
    [VectorType]
    public int[] HistoryItem { get; set; } = [];

    [VectorType]
    public int[] HistoryCategory { get; set; } = [];

    [VectorType]
    public int[] HistoryAge { get; set; } = [];

    [VectorType]
    public int[] HistoryAction { get; set; } = [];

    [VectorType]
    public long[] HistoryTimestamp { get; set; } = [];
}

/// <summary>A click log, as the demo takes it.</summary>
/// <param name="Name">What it is.</param>
/// <param name="Rows">All impressions in order of time, those of a request together.</param>
/// <param name="Tune">Sets the options that were chosen for it, on its validation rows.</param>
/// <param name="BestPredictions">For each row the probability that nobody can beat, where the data is made up; otherwise null.</param>
public sealed record ClickData(string Name, Impression[] Rows, Action<SparseCtrTrainer.Options> Tune, double[]? BestPredictions)
{
    /// <summary>The first 90% of the rows: 80% to train on and 10% to validate on.</summary>
    public Impression[] TrainingRows => Rows[..TestStart];

    /// <summary>The last 10% of the rows.</summary>
    public Impression[] TestRows => Rows[TestStart..];

    /// <summary>Of the training rows, the share that validates.</summary>
    public const double ValidationFraction = 1.0 / 9;

    public int TestStart => (int)Math.Ceiling(0.9 * Rows.Length);

    /// <summary>Turns a log into rows with histories and rates, none of which sees its own second or anything later.</summary>
    /// <param name="name">What it is.</param>
    /// <param name="tune">Sets the options that were chosen for it.</param>
    /// <param name="log">The events, in order of time.</param>
    internal static ClickData FromLog(string name, Action<SparseCtrTrainer.Options> tune, IEnumerable<LogEntry> log)
    {
        // Within a second, a user's events are one request.
        LogEntry[] entries = log.OrderBy(entry => entry.Timestamp).ThenBy(entry => entry.User).ToArray();
        var histories = new Dictionary<int, List<LogEntry>>();
        var rates = new RatesSoFar();
        var rows = new List<Impression>();
        int requests = 0;
        foreach (IGrouping<long, LogEntry> second in entries.GroupBy(entry => entry.Timestamp))
        {
            foreach (IGrouping<int, LogEntry> request in second.GroupBy(entry => entry.User))
            {
                List<LogEntry> history = histories.TryGetValue(request.Key, out List<LogEntry>? known) ? known : histories[request.Key] = [];
                Impression first = WithHistory(history);
                foreach (LogEntry entry in request)
                {
                    rows.Add(new Impression
                    {
                        Label = entry.Clicked,
                        Timestamp = entry.Timestamp,
                        Request = requests,
                        User = entry.User,
                        Item = entry.Item.Id,
                        Category = entry.Item.Category,
                        Age = entry.Item.Age,
                        Tags = entry.Item.Tags,
                        UserFacts = entry.UserFacts,
                        Rates = rates.Of(entry.User, entry.Item.Id),
                        Moment = MomentOf(entry.Timestamp),
                        HistoryItem = first.HistoryItem,
                        HistoryCategory = first.HistoryCategory,
                        HistoryAge = first.HistoryAge,
                        HistoryAction = first.HistoryAction,
                        HistoryTimestamp = first.HistoryTimestamp,
                    });
                }
                requests++;
            }
            foreach (LogEntry entry in second)
                histories[entry.User].Add(entry);
            rates.Add(second.ToArray());
        }
        double[]? best = entries.Length > 0 && entries[0].BestPrediction is not null ? entries.Select(entry => entry.BestPrediction!.Value).ToArray() : null;
        return new ClickData(name, [.. rows], tune, best);
    }

    private static float[] MomentOf(long timestamp)
    {
        DateTimeOffset time = DateTimeOffset.FromUnixTimeSeconds(timestamp);
        (double sin, double cos) = Math.SinCos(2 * Math.PI * time.TimeOfDay.TotalDays);
        return [(float)sin, (float)cos, time.DayOfWeek is DayOfWeek.Saturday or DayOfWeek.Sunday ? 1 : 0];
    }

    private static Impression WithHistory(List<LogEntry> history) => new()
    {
        HistoryItem = history.Select(entry => entry.Item.Id).ToArray(),
        HistoryCategory = history.Select(entry => entry.Item.Category).ToArray(),
        HistoryAge = history.Select(entry => entry.Item.Age).ToArray(),
        HistoryAction = history.Select(entry => entry.Action).ToArray(),
        HistoryTimestamp = history.Select(entry => entry.Timestamp).ToArray(),
    };
}

/// <summary>An item of a log.</summary>
internal sealed record LogItem(int Id, int Category, int Age, int[] Tags);

/// <summary>An event of a log.</summary>
internal sealed record LogEntry(int User, int[] UserFacts, LogItem Item, long Timestamp, bool Clicked, int Action, double? BestPrediction = null);

/// <summary>
/// What can be counted of items and users so far: the strongest simple features of a click log. Whoever asks must not have added the current
/// second yet.
/// </summary>
internal sealed class RatesSoFar
{
    /// <summary>
    /// Of the item: smoothed click rate, smoothed mean action, log count. Of the user: the same, and by how much the clicks exceed what the
    /// items' rates at the time made expect.
    /// </summary>
    public const int Count = 7;

    /// <summary>As many impressions at the overall rate are added to those of an item.</summary>
    public const double ItemPrior = 10;

    private const double UserPrior = 5;

    private sealed record Tally(double Shown = 0, double Clicks = 0, double Actions = 0, double Excess = 0);

    private readonly Dictionary<int, Tally> _items = [], _users = [];
    private Tally _all = new(Shown: 10, Clicks: 5);

    public float[] Of(int user, int item)
    {
        Tally ofItem = _items.GetValueOrDefault(item, new Tally()), ofUser = _users.GetValueOrDefault(user, new Tally());
        double meanAction = _all.Actions / _all.Shown;
        double[] features =
        [
            ItemRate(item), (ofItem.Actions + ItemPrior * meanAction) / (ofItem.Shown + ItemPrior), Math.Log(1 + ofItem.Shown),
            (ofUser.Clicks + UserPrior * Rate) / (ofUser.Shown + UserPrior), (ofUser.Actions + UserPrior * meanAction) / (ofUser.Shown + UserPrior),
            Math.Log(1 + ofUser.Shown), ofUser.Excess / (ofUser.Shown + UserPrior),
        ];
        return features.Select(feature => (float)feature).ToArray();
    }

    /// <summary>Adds the events of one second.</summary>
    public void Add(IReadOnlyCollection<LogEntry> second)
    {
        double[] excess = second.Select(entry => (entry.Clicked ? 1 : 0) - ItemRate(entry.Item.Id)).ToArray();
        foreach ((LogEntry entry, double more) in second.Zip(excess))
        {
            _items[entry.Item.Id] = Plus(_items.GetValueOrDefault(entry.Item.Id, new Tally()), entry, 0);
            _users[entry.User] = Plus(_users.GetValueOrDefault(entry.User, new Tally()), entry, more);
            _all = Plus(_all, entry, 0);
        }
    }

    private double Rate => _all.Clicks / _all.Shown;

    private double ItemRate(int item)
    {
        Tally tally = _items.GetValueOrDefault(item, new Tally());
        return (tally.Clicks + ItemPrior * Rate) / (tally.Shown + ItemPrior);
    }

    private static Tally Plus(Tally tally, LogEntry entry, double excess) => new(
        tally.Shown + 1, tally.Clicks + (entry.Clicked ? 1 : 0), tally.Actions + entry.Action, tally.Excess + excess);
}
