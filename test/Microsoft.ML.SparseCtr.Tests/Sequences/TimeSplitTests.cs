using FsCheck;
using FsCheck.Fluent;
using Microsoft.ML.Data;
using static Microsoft.ML.SparseCtr.Tests.Logs;

namespace Microsoft.ML.SparseCtr.Tests;

public class TimeSplitTests
{
    private readonly MLContext _mlContext = new(seed: 1);

    [Fact]
    public void Parts_are_apart_in_time_hold_all_rows_in_order_and_have_about_the_asked_sizes()
        => Check.One(Config.QuickThrowOnFailure, Prop.ForAll(Gen.Choose(0, 40).ArrayOf().ToArbitrary(), times =>
        {
            if (times.Distinct().Count() < 5)
                return;
            TimeSplit split = _mlContext.Data.SplitByTime(At(times), testFraction: 0.3, validationFraction: 0.2);
            long[] train, validation, test;
            try
            {
                (train, validation, test) = (Times(split.TrainSet), Times(split.ValidationSet!), Times(split.TestSet));
            }
            catch (InvalidOperationException)
            {
                // Too many rows of one time: a part would be empty.
                Assert.Contains(times.GroupBy(time => time), same => same.Count() > 0.2 * times.Length - 1);
                return;
            }
            Assert.True(train.Max() < validation.Min() && validation.Max() < test.Min());
            Assert.Equal(times.Where(time => time < split.ValidationStart).Select(time => (long)time), train);
            Assert.Equal(times.Where(time => time >= split.ValidationStart && time < split.TestStart).Select(time => (long)time), validation);
            Assert.Equal(times.Where(time => time >= split.TestStart).Select(time => (long)time), test);
            int ties = times.GroupBy(time => time).Max(same => same.Count());
            Assert.InRange(test.Length, 0.3 * times.Length - 1, 0.3 * times.Length + ties);
        }));

    [Fact]
    public void Rows_that_differ_in_time_are_split_exactly()
    {
        TimeSplit split = _mlContext.Data.SplitByTime(At(Enumerable.Range(0, 1_000)), testFraction: 0.1, validationFraction: 0.1);
        Assert.Equal((800, 100, 100), (Times(split.TrainSet).Length, Times(split.ValidationSet!).Length, Times(split.TestSet).Length));
        Assert.Null(_mlContext.Data.SplitByTime(At([1, 2])).ValidationSet);
    }

    [Fact]
    public void Instants_split_where_they_say()
    {
        IDataView rows = View(_mlContext, new[] { 5, 10, 15, long.MaxValue }.Select(time => new Event { Timestamp = time }));
        foreach (TimeSplit split in new[]
                 {
                     _mlContext.Data.SplitByTime(rows, testStart: 15, validationStart: 10),
                     _mlContext.Data.SplitByTime(rows, testStart: new DateTime(1970, 1, 1, 0, 0, 15), validationStart: DateTime.UnixEpoch.AddSeconds(10).ToLocalTime()),
                 })
        {
            Assert.Equal([5], Times(split.TrainSet));
            Assert.Equal([10], Times(split.ValidationSet!));
            Assert.Equal([15, long.MaxValue], Times(split.TestSet));
        }
    }

    [Fact]
    public void Nothing_is_read_before_a_part_is_and_only_the_columns_asked_for()
    {
        int made = 0;
        IEnumerable<Event> Rows()
        {
            for (int i = 0; i < 10; i++)
            {
                made++;
                yield return new Event { Timestamp = i };
            }
        }
        TimeSplit split = _mlContext.Data.SplitByTime(_mlContext.Data.LoadFromEnumerable(Rows()), testFraction: 0.5);
        Assert.Equal(0, made);
        using DataViewRowCursor cursor = split.TestSet.GetRowCursor([split.TestSet.Schema["Item"]]);
        Assert.True(cursor.MoveNext());
        Assert.False(cursor.IsColumnActive(split.TestSet.Schema["Timestamp"]));
        Assert.Throws<InvalidOperationException>(() => cursor.GetGetter<long>(split.TestSet.Schema["Timestamp"]));
    }

    [Fact]
    public void Cursor_sets_hold_the_same_rows()
    {
        IDataView part = _mlContext.Data.SplitByTime(_mlContext.Data.Cache(At(Enumerable.Range(0, 500))), testFraction: 0.2).TestSet;
        var times = new List<long>();
        foreach (DataViewRowCursor cursor in part.GetRowCursorSet([part.Schema["Timestamp"]], 3))
        {
            using (cursor)
            {
                ValueGetter<long> read = cursor.GetGetter<long>(part.Schema["Timestamp"]);
                for (long time = 0; cursor.MoveNext();)
                {
                    read(ref time);
                    times.Add(time);
                }
            }
        }
        Assert.Equal(Enumerable.Range(400, 100).Select(time => (long)time), times.Order());
    }

    [Fact]
    public void Mistakes_are_named()
    {
        Assert.Contains("too few different times in column 'Timestamp'", Assert.Throws<InvalidOperationException>(() => Times(_mlContext.Data.SplitByTime(At([5, 5, 5])).TrainSet)).Message);
        Assert.Contains("The 0 rows", Assert.Throws<InvalidOperationException>(() => _mlContext.Data.SplitByTime(At([])).TestStart).Message);
        Assert.Contains("row 1: column 'Timestamp' is the negative time -3", Assert.Throws<InvalidOperationException>(() => _mlContext.Data.SplitByTime(At([1, -3])).TestStart).Message);
        Assert.Contains("Could not find timestamp column 'When'", Assert.Throws<ArgumentOutOfRangeException>(() => _mlContext.Data.SplitByTime(At([1]), "When")).Message);
        Assert.Equal("testFraction", Assert.Throws<ArgumentOutOfRangeException>(() => _mlContext.Data.SplitByTime(At([1]), testFraction: 0)).ParamName);
        Assert.Equal("testFraction", Assert.Throws<ArgumentOutOfRangeException>(() => _mlContext.Data.SplitByTime(At([1]), testFraction: 0.5, validationFraction: 0.5)).ParamName);
        Assert.Equal("validationStart", Assert.Throws<ArgumentOutOfRangeException>(
            () => _mlContext.Data.SplitByTime(At([1]), testStart: 5, validationStart: 6)).ParamName);
    }

    private IDataView At(IEnumerable<int> times) => View(_mlContext, times.Select(time => new Event { Timestamp = time }));

    private static long[] Times(IDataView view) => view.GetColumn<long>("Timestamp").ToArray();
}
