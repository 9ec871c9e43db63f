using Microsoft.ML.Data;
using Microsoft.ML.SparseCtr;

namespace SparseCtr.Samples;

/// <summary>
/// One impression, and one event of the log: what was shown to whom and when, and what came of it. What was before it is for the pipeline to
/// find.
/// </summary>
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

    /// <summary>What the user did with the item, such as a rating: known once it has happened.</summary>
    public float Action { get; set; }

    /// <summary>The hour of the day as a point on a circle, and whether it is a weekend (UTC).</summary>
    [VectorType(3)]
    public float[] Moment { get; set; } = [];

    /// <summary>The best prediction that anyone could make before the fact, where the data is made up; otherwise NaN.</summary>
    public float BestPrediction { get; set; } = float.NaN;
}

/// <summary>A click log, as the demo takes it.</summary>
/// <param name="Name">What it is.</param>
/// <param name="Rows">All impressions in order of time, those of a request together.</param>
/// <param name="Tune">Sets the options that were chosen for it, on its validation rows.</param>
/// <param name="LeastClick">The least action that counts as a click.</param>
public sealed record ClickData(string Name, Impression[] Rows, Action<CtrTrainerOptions> Tune, float LeastClick)
{
    /// <summary>Orders a log by time, numbers its requests and fills in the moments and labels.</summary>
    internal static ClickData Create(string name, IEnumerable<Impression> log, Action<CtrTrainerOptions> tune, float leastClick)
    {
        Impression[] rows = log.OrderBy(row => row.Timestamp).ThenBy(row => row.User).ToArray();
        for (int i = 0; i < rows.Length; i++)
        {
            bool sameRequest = i > 0 && (rows[i].Timestamp, rows[i].User) == (rows[i - 1].Timestamp, rows[i - 1].User);
            rows[i].Request = i == 0 ? 0 : rows[i - 1].Request + (sameRequest ? 0 : 1);
            rows[i].Moment = MomentOf(rows[i].Timestamp);
            rows[i].Label = rows[i].Action >= leastClick;
        }
        return new ClickData(name, rows, tune, leastClick);
    }

    internal static float[] MomentOf(long timestamp)
    {
        DateTimeOffset time = DateTimeOffset.FromUnixTimeSeconds(timestamp);
        (double sin, double cos) = Math.SinCos(2 * Math.PI * time.TimeOfDay.TotalDays);
        return [(float)sin, (float)cos, time.DayOfWeek is DayOfWeek.Saturday or DayOfWeek.Sunday ? 1 : 0];
    }
}
