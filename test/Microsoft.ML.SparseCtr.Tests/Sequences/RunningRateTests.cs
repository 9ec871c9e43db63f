using FsCheck;
using FsCheck.Fluent;
using Microsoft.ML.Data;
using static Microsoft.ML.SparseCtr.Tests.Logs;

namespace Microsoft.ML.SparseCtr.Tests;

public class RunningRateTests
{
    private readonly MLContext _mlContext = new(seed: 1);

    private sealed class Rates
    {
        public float ItemRate { get; set; }
        public float ItemCount { get; set; }
        public float UserRate { get; set; }
        public float UserCount { get; set; }
    }

    [Theory]
    [InlineData(10, 0.5, 0)]
    [InlineData(3, 0.1, 4)]
    [InlineData(0, 0.2, 0)]
    public void Every_rate_is_what_counting_the_whole_log_gives(double priorWeight, double initialRate, long delay)
        => Check.One(Config.QuickThrowOnFailure, Prop.ForAll(LogsAndRows, data =>
        {
            RunningRateEstimator.Options options = new()
            {
                KeyColumnNames = ["Item", "User"], PriorWeight = priorWeight, InitialRate = initialRate, DelaySeconds = delay, LogarithmicCount = false,
            };
            foreach ((Event row, Rates found) in data.Rows.Zip(Read(Fit(data.Log, options), data.Rows)))
            {
                Event[] past = data.Log.Where(one => one.Timestamp < row.Timestamp - delay).ToArray();
                Event[] ofItem = past.Where(one => one.Item == row.Item).ToArray(), ofUser = past.Where(one => one.User == row.User).ToArray();
                double overall = Smoothed(past, initialRate);
                Assert.Equal((ofItem.Length, ofUser.Length), ((int)found.ItemCount, (int)found.UserCount));
                Assert.Equal(Smoothed(ofItem, overall), found.ItemRate, 1e-6);
                Assert.Equal(Smoothed(ofUser, overall), found.UserRate, 1e-6);
            }

            double Smoothed(Event[] events, double prior) => events.Length + priorWeight == 0
                ? prior
                : (events.Count(one => one.Label) + priorWeight * prior) / (events.Length + priorWeight);
        }));

    [Fact]
    public void Later_events_and_the_row_itself_change_nothing()
        => Check.One(Config.QuickThrowOnFailure, Prop.ForAll(LogsAndRows, data =>
        {
            const long now = 15;
            Event[] rows = data.Rows.Select(row => new Event { User = row.User, Item = row.Item, Label = row.Label, Timestamp = now }).ToArray();
            RunningRateEstimator.Options options = new() { KeyColumnNames = ["Item", "User"] };
            Assert.Equivalent(Read(Fit(data.Log.Where(one => one.Timestamp < now), options), rows), Read(Fit(data.Log.Concat(rows), options), rows), strict: true);
        }));

    [Fact]
    public void Events_appended_in_any_order_count_as_those_of_one_log()
        => Check.One(Config.QuickThrowOnFailure, Prop.ForAll(LogsAndRows, Gen.Choose(1, 4).ToArbitrary(), (data, piece) =>
        {
            RunningRateEstimator.Options options = new() { KeyColumnNames = ["Item", "User"] };
            RunningRateTransformer transformer = Fit([], options);
            foreach (Event[] events in data.Log.Chunk(piece))
                transformer.Append(View(_mlContext, events));
            Assert.Equal(data.Log.Length, transformer.NumberOfEvents);
            Assert.Equivalent(Read(Fit(data.Log, options), data.Rows), Read(transformer, data.Rows), strict: true);
        }));

    [Fact]
    public void Counts_are_logarithms_by_default_and_absent_where_they_have_no_name()
    {
        IDataView log = View(_mlContext, [At(1), At(2), At(3)]), rows = View(_mlContext, [At(3)]);
        Assert.Equal(Math.Log(1 + 2), _mlContext.Transforms.RunningRate(log, ["Item"]).Fit(rows).Transform(rows).GetColumn<float>("ItemCount").Single(), 1e-6);

        DataViewSchema schema = _mlContext.Transforms.RunningRate(log, new RunningRateEstimator.Options { RateSuffix = "Mean", CountSuffix = null }).Fit(rows).GetOutputSchema(rows.Schema);
        Assert.Equal([.. rows.Schema.Select(column => column.Name), "ItemMean"], schema.Select(column => column.Name));
    }

    [Fact]
    public void Any_number_can_be_averaged_and_a_missing_one_is_left_out()
    {
        var log = new[] { 4f, float.NaN, 2f, float.PositiveInfinity }.Select((rating, i) => new { Item = "a", Rating = rating, Timestamp = (long)i });
        IDataView view = View(_mlContext, log);
        RunningRateEstimator.Options options = new() { LabelColumnName = "Rating", PriorWeight = 0 };
        Assert.Equal(3, _mlContext.Transforms.RunningRate(view, options).Fit(view).Transform(view).GetColumn<float>("ItemRate").Last());
    }

    [Fact]
    public void What_is_large_of_one_key_does_not_drown_what_is_small_of_another()
    {
        var log = new[] { new { Item = "a", Price = 1e20f, Timestamp = 1L }, new { Item = "b", Price = 0.1f, Timestamp = 1L }, new { Item = "b", Price = 0.2f, Timestamp = 2L } };
        IDataView view = View(_mlContext, log), row = View(_mlContext, new[] { new { Item = "b", Timestamp = 9L } });
        RunningRateEstimator.Options options = new() { LabelColumnName = "Price", PriorWeight = 0 };
        Assert.Equal(0.15f, _mlContext.Transforms.RunningRate(view, options).Fit(row).Transform(row).GetColumn<float>("ItemRate").Single());
    }

    [Fact]
    public void A_row_without_a_key_gets_the_overall_rate_and_a_count_of_zero()
    {
        Event[] log = [At(1, "a", true), At(2, "b", false), At(3, "b", false)];
        RunningRateEstimator.Options options = new() { KeyColumnNames = ["Item", "User"], PriorWeight = 0 };
        Rates found = Read(Fit(log, options), [At(9, "")])[0];
        Assert.Equal(1f / 3, found.ItemRate);
        Assert.Equal(0, found.ItemCount);
    }

    [Fact]
    public void Keys_are_counted_by_what_they_stand_for()
    {
        IDataView log = View(_mlContext, [At(1, "a", true), At(2, "b", false)]), rows = View(_mlContext, [At(9, "b"), At(9, "a")]);
        IDataView keyed = _mlContext.Transforms.Conversion.MapValueToKey("Item").Fit(rows).Transform(rows);
        RunningRateEstimator.Options options = new() { PriorWeight = 0 };
        Assert.Equal([0f, 1f], _mlContext.Transforms.RunningRate(log, options).Fit(keyed).Transform(keyed).GetColumn<float>("ItemRate"));
    }

    [Fact]
    public void Mistakes_are_named()
    {
        IDataView log = View(_mlContext, [At(1)]);
        Assert.Contains("Could not find key column 'Nope'", Assert.Throws<ArgumentOutOfRangeException>(() => _mlContext.Transforms.RunningRate(log, ["Nope"])).Message);
        Assert.Contains("label column 'Item': expected Single or Boolean", Assert.Throws<ArgumentOutOfRangeException>(() => _mlContext.Transforms.RunningRate(log, ["User"], labelColumnName: "Item")).Message);
        Assert.Equal("PriorWeight", Assert.Throws<ArgumentOutOfRangeException>(() => _mlContext.Transforms.RunningRate(log, ["Item"], priorWeight: -1)).ParamName);
        Assert.Equal("KeyColumnNames", Assert.Throws<ArgumentOutOfRangeException>(() => _mlContext.Transforms.RunningRate(log, [])).ParamName);
        Assert.Contains("row 0: column 'Timestamp' is the negative time -1", Assert.Throws<InvalidOperationException>(() => Fit([At(-1)], new())).Message);
    }

    [Fact]
    public void The_announced_schema_is_the_real_one()
    {
        IDataView rows = View(_mlContext, [At(1)]);
        RunningRateEstimator estimator = _mlContext.Transforms.RunningRate(rows, ["Item", "User"]);
        Assert.Equal(
            estimator.Fit(rows).GetOutputSchema(rows.Schema).Select(column => (column.Name, column.Type)),
            estimator.GetOutputSchema(Interop.MLNetInternals.ShapeOf(rows.Schema)).Select(column => (column.Name, column.ItemType)));
    }

    private static Event At(long time, string item = "item", bool label = true) => new() { User = "user", Item = item, Timestamp = time, Label = label };

    private RunningRateTransformer Fit(IEnumerable<Event> log, RunningRateEstimator.Options options)
        => _mlContext.Transforms.RunningRate(View(_mlContext, log), options).Fit(View(_mlContext, log));

    private Rates[] Read(RunningRateTransformer transformer, IEnumerable<Event> rows)
        => _mlContext.Data.CreateEnumerable<Rates>(transformer.Transform(View(_mlContext, rows)), reuseRowObject: false).ToArray();
}
