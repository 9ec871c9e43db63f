using Microsoft.ML.Data;
using static Microsoft.ML.SparseCtr.Tests.Logs;

namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>The worked example of docs/data.md.</summary>
public class WorkedExampleTests
{
    private readonly MLContext _mlContext = new(seed: 1);

    private readonly Event[] _log =
    [
        At("09:00:00", "ann", "kettle", true),
        At("09:00:00", "ann", "toaster", false),
        At("09:30:00", "bob", "kettle", false),
        At("10:00:00", "ann", "mug", true),
        At("10:00:00", "bob", "mug", true),
    ];

    [Fact]
    public void Histories_end_before_the_second_of_their_row()
    {
        Assert.Equal(["", "", "", "kettle, toaster", "kettle"], Histories(delay: 0));
        Assert.Equal(["", "", "", "", ""], Histories(delay: 3_600));
        Assert.Equal(["", "", "", "kettle, toaster", "kettle"], Histories(delay: 1_799));
    }

    [Fact]
    public void Rates_count_what_was_before_the_second_of_their_row()
    {
        IDataView log = View(_mlContext, _log), rated = _mlContext.Transforms.RunningRate(log, ["Item"]).Fit(log).Transform(log);
        Assert.Equal([0.5, 0.5, 0.5455, 0.4615, 0.4615], rated.GetColumn<float>("ItemRate").Select(rate => Math.Round(rate, 4)));
        Assert.Equal([0.0, 0, 1, 0, 0], rated.GetColumn<float>("ItemCount").Select(count => Math.Round(Math.Exp(count) - 1, 4)));
    }

    private IEnumerable<string> Histories(long delay)
    {
        IDataView log = View(_mlContext, _log);
        BehaviorSequenceEstimator estimator = _mlContext.Transforms.BehaviorSequence(log, new BehaviorSequenceEstimator.Options { DelaySeconds = delay });
        return estimator.Fit(log).Transform(log).GetColumn<string[]>("HistoryItem").Select(items => string.Join(", ", items));
    }

    private static Event At(string time, string user, string item, bool clicked) => new()
    {
        User = user,
        Item = item,
        Label = clicked,
        Timestamp = new DateTimeOffset(2024, 3, 1, 0, 0, 0, TimeSpan.Zero).Add(TimeSpan.Parse(time)).ToUnixTimeSeconds(),
    };
}
