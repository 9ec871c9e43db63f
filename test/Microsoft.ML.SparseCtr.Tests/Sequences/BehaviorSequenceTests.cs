using FsCheck;
using FsCheck.Fluent;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using static Microsoft.ML.SparseCtr.Tests.Logs;
using UnknownUserMode = Microsoft.ML.SparseCtr.BehaviorSequenceEstimator.UnknownUserMode;

namespace Microsoft.ML.SparseCtr.Tests;

public class BehaviorSequenceTests
{
    private readonly MLContext _mlContext = new(seed: 1);

    private sealed class Joined
    {
        [VectorType]
        public string[] HistoryItem { get; set; } = [];

        [VectorType]
        public float[] HistoryPrice { get; set; } = [];

        [VectorType]
        public long[] HistoryTimestamp { get; set; } = [];
    }

    [Theory]
    [InlineData(100, 0, 0)]
    [InlineData(3, 0, 0)]
    [InlineData(3, 5, 0)]
    [InlineData(100, 0, 4)]
    [InlineData(2, 1, 2)]
    [InlineData(3, 0, 0, 3)]
    [InlineData(5, 1, 1, 2)]
    public void Every_history_is_what_a_search_of_the_whole_log_finds(int length, long delay, long gap, int stride = 1)
        => Check.One(Config.QuickThrowOnFailure, Prop.ForAll(LogsAndRows, data =>
        {
            Joined[] joined = Join(data.Log, data.Rows, OptionsOf(length, delay, gap, stride));
            foreach ((Event row, Joined found) in data.Rows.Zip(joined))
            {
                Event[] expected = Naive(data.Log, row, length, delay, gap, stride);
                Assert.Equal(expected.Select(one => one.Item), found.HistoryItem);
                Assert.Equal(expected.Select(one => one.Price), found.HistoryPrice);
                Assert.Equal(expected.Select(one => one.Timestamp), found.HistoryTimestamp);
                Assert.All(found.HistoryTimestamp, time => Assert.True(time < row.Timestamp - delay));
            }
        }));

    [Fact]
    public void Later_events_change_nothing_of_earlier_rows()
        => Check.One(Config.QuickThrowOnFailure, Prop.ForAll(LogsAndRows, data =>
        {
            const long now = 15;
            Event[] rows = data.Rows.Where(row => row.Timestamp <= now).ToArray();
            Event[] past = data.Log.Where(one => one.Timestamp < now).ToArray();
            BehaviorSequenceEstimator.Options options = OptionsOf(length: 4, delay: 0, gap: 2);
            Assert.Equivalent(Join(past, rows, options), Join(data.Log, rows, options), strict: true);
        }));

    [Fact]
    public void Appending_in_pieces_gives_what_the_whole_log_gives()
        => Check.One(Config.QuickThrowOnFailure, Prop.ForAll(LogsAndRows, Gen.Choose(1, 4).ToArbitrary(), (data, piece) =>
        {
            Event[] log = data.Log.OrderBy(one => one.Timestamp).ToArray();
            BehaviorSequenceEstimator.Options options = OptionsOf(length: 5, delay: 0, gap: 1, stride: 2);
            BehaviorSequenceTransformer transformer = Fit(log.Take(piece), data.Rows, options);
            foreach (Event[] events in log.Skip(piece).Chunk(piece))
                transformer.Append(View(_mlContext, events));
            Assert.Equivalent(Join(log, data.Rows, options), Read(transformer, data.Rows), strict: true);
            Assert.Equal(Fit(log, data.Rows, options).NumberOfEvents, transformer.NumberOfEvents);
        }));

    [Fact]
    public void Logs_that_are_appended_at_the_same_time_are_all_there_afterwards()
    {
        BehaviorSequenceTransformer transformer = Fit([At(1)], [], OptionsOf(10, 0, 0));
        Parallel.For(0, 40, user => transformer.Append(View(_mlContext, [new Event { User = $"user {user}", Item = "item", Timestamp = user }])));
        Assert.Equal(41, transformer.NumberOfEvents);
    }

    [Fact]
    public void An_older_event_cannot_be_appended_and_leaves_the_index_as_it_was()
    {
        BehaviorSequenceTransformer transformer = Fit([At(10), At(20)], [], new());
        var problem = Assert.Throws<InvalidOperationException>(() => transformer.Append(View(_mlContext, [At(20), At(15)])));
        Assert.Contains("Id 'user' has an event at 15, but the index already has one at 20", problem.Message);
        Assert.Equal(2, transformer.NumberOfEvents);
    }

    [Fact]
    public void Keys_of_log_and_rows_are_reconciled_by_what_they_stand_for()
    {
        Event[] log = [At(1, "c"), At(2, "b"), At(3, "never among the rows"), At(4, "a")];
        Event[] rows = [At(9, "a"), At(9, "b"), At(9, "c")];
        IDataView keyedRows = Keyed(rows);

        // The log's keys are numbered in another order than the rows'; text in the log does as well.
        foreach (IDataView view in new[] { Keyed(log), View(_mlContext, log) })
        {
            IDataView joined = _mlContext.Transforms.BehaviorSequence(view).Fit(keyedRows).Transform(keyedRows);
            Assert.Equal([3u, 2u, 0u, 1u], joined.GetColumn<uint[]>("HistoryItem").First());
            VBuffer<ReadOnlyMemory<char>> values = default;
            joined.Schema["HistoryItem"].GetKeyValues(ref values);
            Assert.Equal(["a", "b", "c"], values.DenseValues().Select(value => value.ToString()));
        }

        IDataView Keyed(Event[] events)
        {
            IDataView view = View(_mlContext, events);
            return _mlContext.Transforms.Conversion.MapValueToKey("Item").Fit(view).Transform(view);
        }
    }

    [Fact]
    public void Users_are_the_same_whether_they_are_keys_text_or_numbers_of_any_size()
    {
        var log = new[] { new { User = 7L, Item = 1, Timestamp = 1L } };
        var rows = new[] { new { User = (byte)7, Item = 1, Timestamp = 5L } };
        IDataView numbers = View(_mlContext, rows);
        IDataView keys = _mlContext.Transforms.Conversion.MapValueToKey("User").Fit(numbers).Transform(numbers);
        foreach (IDataView view in new[] { numbers, keys })
            Assert.Equal([1], _mlContext.Transforms.BehaviorSequence(View(_mlContext, log)).Fit(view).Transform(view).GetColumn<int[]>("HistoryItem").Single());

        var problem = Assert.Throws<ArgumentOutOfRangeException>(
            () => _mlContext.Transforms.BehaviorSequence(View(_mlContext, log)).Fit(View(_mlContext, [At(1)])));
        Assert.Contains("column 'User': expected whole numbers, or keys for them, as in the event log, got text", problem.Message);
    }

    [Fact]
    public void Users_may_be_real_numbers_as_in_many_a_file()
    {
        var log = new[] { new { User = 7f, Item = 1.5f, Timestamp = 1L }, new { User = float.NaN, Item = 2f, Timestamp = 2L } };
        IDataView view = View(_mlContext, new[] { new { User = 7.0, Item = 1.5f, Timestamp = 5L } });
        IDataView keyed = _mlContext.Transforms.Conversion.MapValueToKey("Item").Fit(view).Transform(view);
        Assert.Equal([1u], _mlContext.Transforms.BehaviorSequence(View(_mlContext, log)).Fit(keyed).Transform(keyed).GetColumn<uint[]>("HistoryItem").Single());
    }

    [Fact]
    public void Values_that_several_keys_stand_for_are_the_first_of_these_keys()
    {
        (IdMap ids, uint[] keys) = new KeyValues(["".AsMemory(), "".AsMemory(), "a".AsMemory(), "b".AsMemory(), "a".AsMemory()]).ToMap();
        Assert.Equal(["", "a", "b"], ids.Texts);
        Assert.Equal([1u, 3u, 4u], keys);
    }

    [Fact]
    public void Options_changed_after_the_estimator_was_made_change_nothing()
    {
        BehaviorSequenceEstimator.Options options = new() { HistoryLength = 1, FieldColumnNames = ["Price"] };
        IDataView log = View(_mlContext, [At(1), At(2), At(3)]);
        BehaviorSequenceEstimator estimator = _mlContext.Transforms.BehaviorSequence(log, options);
        (options.HistoryLength, options.FieldColumnNames[0]) = (-1, "Nope");
        Assert.Single(estimator.Fit(log).Transform(log).GetColumn<float[]>("HistoryPrice").Last());
    }

    [Fact]
    public void Rows_with_other_keys_than_at_Fit_are_refused()
    {
        IDataView fitted = Keyed(At(9, "a"), At(9, "b")), other = Keyed(At(9, "b"), At(9, "a"));
        BehaviorSequenceTransformer transformer = _mlContext.Transforms.BehaviorSequence(View(_mlContext, [At(1, "a")])).Fit(fitted);
        var problem = Assert.Throws<ArgumentOutOfRangeException>(() => transformer.Transform(other));
        Assert.Contains("column 'Item': expected the 2 keys that it had when BehaviorSequence was fitted", problem.Message);
        Assert.Contains("stand for other values", problem.Message);

        IDataView Keyed(params Event[] events)
        {
            IDataView view = View(_mlContext, events);
            return _mlContext.Transforms.Conversion.MapValueToKey("Item").Fit(view).Transform(view);
        }
    }

    [Fact]
    public void Hashed_items_need_the_same_hash_in_the_log()
    {
        IDataView rows = Hashed([At(9, "a")], bits: 8), log = Hashed([At(1, "a")], bits: 8);
        IDataView joined = _mlContext.Transforms.BehaviorSequence(log).Fit(rows).Transform(rows);
        Assert.Equal(rows.GetColumn<uint>("Item"), joined.GetColumn<uint[]>("HistoryItem").Single());

        Assert.Contains("the rows have 256 keys without values (Hash, or MapValueToKey of a column without a value), the event log has text",
            Assert.Throws<ArgumentOutOfRangeException>(() => _mlContext.Transforms.BehaviorSequence(View(_mlContext, [At(1)])).Fit(rows)).Message);
        Assert.Contains("the event log has 16 keys without values",
            Assert.Throws<ArgumentOutOfRangeException>(() => _mlContext.Transforms.BehaviorSequence(Hashed([At(1)], bits: 4)).Fit(rows)).Message);

        IDataView Hashed(Event[] events, int bits)
        {
            IDataView view = View(_mlContext, events);
            return _mlContext.Transforms.Conversion.Hash("Item", numberOfBits: bits).Fit(view).Transform(view);
        }
    }

    [Fact]
    public void Times_may_be_DateTime_in_log_and_rows_and_then_are_Unix_seconds()
    {
        DateTime at = new(2024, 1, 1, 12, 0, 0, DateTimeKind.Utc);
        var log = new[] { new { User = "u", Item = "a", Timestamp = at }, new { User = "u", Item = "b", Timestamp = at.AddMilliseconds(1500) } };
        IDataView view = View(_mlContext, log);
        IDataView joined = _mlContext.Transforms.BehaviorSequence(view).Fit(view).Transform(view);
        Assert.Equal([[], [new DateTimeOffset(at).ToUnixTimeSeconds()]], joined.GetColumn<long[]>("HistoryTimestamp"));
    }

    [Fact]
    public void Unknown_users_get_empty_histories_or_an_error_by_option()
    {
        Event stranger = new() { User = "stranger", Item = "a", Timestamp = 5 };
        Assert.Empty(Join([At(1)], [stranger], new())[0].HistoryItem);
        var problem = Assert.Throws<InvalidOperationException>(() => Join([At(1)], [At(5), stranger], new() { UnknownUsers = UnknownUserMode.Error }));
        Assert.Contains("Row 1: the event log does not know the user in column 'User'", problem.Message);
    }

    [Fact]
    public void Events_without_a_user_are_skipped_with_one_warning_that_counts_them()
    {
        var warnings = new List<string>();
        _mlContext.Log += (_, message) =>
        {
            if (message.Kind == ChannelMessageKind.Warning)
                warnings.Add(message.RawMessage);
        };
        Event nobody = new() { User = "", Item = "a", Timestamp = 1 };
        Assert.Equal(1, Fit([nobody, At(1), nobody], [], new()).NumberOfEvents);
        Assert.Equal("Skipped 2 events of the log without a user in column 'User'.", Assert.Single(warnings));
    }

    [Fact]
    public void A_negative_time_names_the_row_and_whether_it_is_of_the_log()
    {
        Assert.Contains("The event log, row 1: column 'Timestamp' is the negative time -1", Assert.Throws<InvalidOperationException>(() => Fit([At(1), At(-1)], [], new())).Message);
        Assert.Contains("The rows, row 0: column 'Timestamp' is the negative time -5", Assert.Throws<InvalidOperationException>(() => Join([At(1)], [At(-5)], new())).Message);
    }

    [Theory]
    [InlineData("Could not find user column 'Nobody'", "Nobody", "Item", "Timestamp")]
    [InlineData("Could not find history column 'Nothing'", "User", "Nothing", "Timestamp")]
    [InlineData("Schema mismatch for timestamp column 'Price': expected Int64 (Unix seconds) or DateTime, got Single", "User", "Item", "Price")]
    [InlineData("Schema mismatch for user column 'Label': expected text, a number, or a key for one of them, got Boolean", "Label", "Item", "Timestamp")]
    public void A_log_without_the_columns_is_refused_when_the_estimator_is_made(string message, string user, string item, string time)
        => Assert.Contains(message, Assert.Throws<ArgumentOutOfRangeException>(
            () => _mlContext.Transforms.BehaviorSequence(View(_mlContext, [At(1)]), user, item, time)).Message);

    [Fact]
    public void Options_out_of_range_are_named()
    {
        AssertRefused("HistoryLength", new() { HistoryLength = 0 });
        AssertRefused("DelaySeconds", new() { DelaySeconds = -1 });
        AssertRefused("MinimumGapSeconds", new() { MinimumGapSeconds = -1 });
        AssertRefused("FieldColumnNames", new() { FieldColumnNames = ["Item"] });
        AssertRefused("FieldColumnNames", new() { FieldColumnNames = ["Timestamp"] });

        void AssertRefused(string option, BehaviorSequenceEstimator.Options options)
            => Assert.Equal(option, Assert.Throws<ArgumentOutOfRangeException>(() => _mlContext.Transforms.BehaviorSequence(View(_mlContext, [At(1)]), options)).ParamName);
    }

    [Fact]
    public void The_announced_schema_is_the_real_one()
    {
        IDataView rows = View(_mlContext, [At(1)]);
        foreach (IDataView input in new[] { rows, _mlContext.Transforms.Conversion.MapValueToKey("Item").Fit(rows).Transform(rows) })
        {
            BehaviorSequenceEstimator estimator = _mlContext.Transforms.BehaviorSequence(rows, fieldColumnNames: ["Price", "Label"]);
            SchemaShape announced = estimator.GetOutputSchema(Interop.MLNetInternals.ShapeOf(input.Schema));
            SchemaShape real = Interop.MLNetInternals.ShapeOf(estimator.Fit(input).GetOutputSchema(input.Schema));
            Assert.Equal(real.Select(Describe).Order(), announced.Select(Describe).Order());
        }

        static string Describe(SchemaShape.Column column) => $"{column.Name} {column.Kind} {column.ItemType} {column.IsKey} {string.Join(',', column.Annotations.Select(one => one.Name))}";
    }

    [Fact]
    public void A_prediction_engine_gives_the_histories_of_the_view()
    {
        Event[] log = [At(1, "a"), At(2, "b"), At(3, "c")];
        BehaviorSequenceTransformer transformer = Fit(log, log, OptionsOf(100, 0, 0));
        using PredictionEngine<Event, Joined> engine = _mlContext.Model.CreatePredictionEngine<Event, Joined>(transformer);
        Assert.Equal(["a", "b"], engine.Predict(At(3)).HistoryItem);
        Assert.Equal(["a"], engine.Predict(At(2)).HistoryItem);

        transformer.Append(View(_mlContext, [At(4, "d")]));
        Assert.Equal(["a", "b", "c", "d"], engine.Predict(At(5)).HistoryItem);
    }

    [Fact]
    public async Task Readers_see_all_of_an_appended_log_or_none_of_it()
    {
        BehaviorSequenceTransformer transformer = Fit([At(0), At(0)], [], OptionsOf(10_000, 0, 0));
        IDataView rows = View(_mlContext, Enumerable.Repeat(At(1_000_000), 2_000));
        Task<int[]> reading = Task.Run(() => transformer.Transform(rows).GetColumn<string[]>("HistoryItem").Select(items => items.Length).ToArray());
        for (int time = 1; time <= 200; time++)
            transformer.Append(View(_mlContext, [At(time), At(time)]));
        Assert.All(await reading, length => Assert.Equal(0, length % 2));
        Assert.Equal(402, transformer.Transform(rows).GetColumn<string[]>("HistoryItem").First().Length);
    }

    private static Event At(long time, string item = "item") => new() { User = "user", Item = item, Timestamp = time };

    private static BehaviorSequenceEstimator.Options OptionsOf(int length, long delay, long gap, int stride = 1)
        => new() { FieldColumnNames = ["Price"], HistoryLength = length, HistoryStride = stride, DelaySeconds = delay, MinimumGapSeconds = gap };

    private BehaviorSequenceTransformer Fit(IEnumerable<Event> log, IEnumerable<Event> rows, BehaviorSequenceEstimator.Options options)
        => _mlContext.Transforms.BehaviorSequence(View(_mlContext, log), options).Fit(View(_mlContext, rows));

    private Joined[] Join(IEnumerable<Event> log, IEnumerable<Event> rows, BehaviorSequenceEstimator.Options options) => Read(Fit(log, rows, options), rows);

    private Joined[] Read(BehaviorSequenceTransformer transformer, IEnumerable<Event> rows)
        => _mlContext.Data.CreateEnumerable<Joined>(transformer.Transform(View(_mlContext, rows)), reuseRowObject: false, ignoreMissingColumns: true).ToArray();

    /// <summary>The definition, by a search of the whole log for each row.</summary>
    private static Event[] Naive(Event[] log, Event row, int length, long delay, long gap, int stride)
    {
        var kept = new List<Event>();
        foreach (Event one in log.Where(one => one.User == row.User).OrderBy(one => one.Timestamp))
        {
            if (kept.Count == 0 || one.Timestamp - kept[^1].Timestamp >= gap)
                kept.Add(one);
        }
        Event[] past = kept.Where(one => one.Timestamp < row.Timestamp - delay).ToArray();
        int first = 0;
        while (past.Length - first > length)
            first += stride;
        return past[first..];
    }
}
