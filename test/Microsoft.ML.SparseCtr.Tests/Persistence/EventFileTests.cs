using System.Buffers.Binary;
using System.IO.Compression;
using Microsoft.ML.Data;
using static Microsoft.ML.SparseCtr.Tests.Logs;

namespace Microsoft.ML.SparseCtr.Tests;

public class EventFileTests
{
    private const int Events = 500;

    private static readonly Event[] s_log = Enumerable.Range(0, Events)
        .Select(i => new Event { User = $"user {i % 7}", Item = $"item {i % 11}", Price = i % 3, Timestamp = 10 * i, Label = i % 2 == 0 }).ToArray();

    private static readonly Event[] s_rows = s_log.Where((_, i) => i % 5 == 0).ToArray();

    private readonly MLContext _mlContext = new(seed: 1);

    [Fact]
    public void A_loaded_pipeline_gives_the_histories_and_rates_of_the_saved_one()
    {
        ITransformer model = Fit();
        using ModelZip file = Save(model);
        Assert.Equal(Features(model), Features(file.Load()));
    }

    [Fact]
    public void A_loaded_pipeline_takes_further_events_and_saves_again()
    {
        ITransformer model = Fit();
        using ModelZip first = Save(model);
        ITransformer loaded = first.Load();
        IDataView newer = View(_mlContext, [new Event { User = "user 0", Item = "item 3", Timestamp = 5_000 }, new Event { User = "new", Item = "item 4", Timestamp = 2 }]);
        model.AppendEvents(newer);
        loaded.AppendEvents(newer);
        using ModelZip second = Save(loaded);
        Assert.Equal(Features(model), Features(second.Load()));
        Assert.NotEqual(Features(model), Features(first.Load()));
    }

    [Fact]
    public void Without_its_events_a_model_is_small_and_asks_for_a_log_before_it_is_used()
    {
        ITransformer model = Fit(saveEvents: false);
        using ModelZip withEvents = Save(Fit()), without = Save(model);
        Assert.InRange(without.Length, 1, withEvents.Length - 2 * Events);

        ITransformer loaded = without.Load();
        Assert.Contains("AppendEvents", Assert.Throws<InvalidOperationException>(() => Features(loaded)).Message);
        loaded.AppendEvents(View(_mlContext, s_log));
        Assert.Equal(Features(model), Features(loaded));
    }

    [Fact]
    public void Events_that_one_transformer_refuses_are_appended_to_none()
    {
        TransformerChain<ITransformer> model = Fit();
        string[] before = Features(model);
        IDataView older = View(_mlContext, [new Event { User = "user 1", Item = "item 1", Timestamp = 1, Label = true }]);
        Assert.Contains("only newer events can be appended", Assert.Throws<InvalidOperationException>(() => model.AppendEvents(older)).Message);
        Assert.Equal(before, Features(model));
        Assert.All(model.OfType<RunningRateTransformer>(), rates => Assert.Equal(Events, rates.NumberOfEvents));
    }

    [Fact]
    public void A_transformer_that_stands_twice_in_a_model_gets_events_once()
    {
        IDataView log = View(_mlContext, s_log);
        BehaviorSequenceTransformer transformer = _mlContext.Transforms.BehaviorSequence(log).Fit(log);
        new TransformerChain<ITransformer>(transformer, transformer).AppendEvents(View(_mlContext, [new Event { User = "new", Timestamp = 1 }]));
        Assert.Equal(Events + 1, transformer.NumberOfEvents);
    }

    [Fact]
    public void Text_that_is_no_proper_Unicode_comes_back_as_it_was()
    {
        Event[] events = new[] { "a\uD800", "a\uD801", "b" }.Select(user => new Event { User = user, Item = user, Timestamp = 1 }).ToArray();
        IDataView log = View(_mlContext, events);
        using var file = new ModelZip(_mlContext, _mlContext.Transforms.BehaviorSequence(log).Fit(log), log.Schema);
        IDataView rows = View(_mlContext, events.Select(one => new Event { User = one.User, Timestamp = 2 }));
        Assert.Equal(events.Select(one => one.Item), file.Load().Transform(rows).GetColumn<string[]>("HistoryItem").Select(items => items.Single()));
    }

    [Fact]
    public void A_model_that_holds_no_events_takes_none()
        => Assert.Throws<ArgumentException>(() => _mlContext.Transforms.CopyColumns("Other", "Item").Fit(View(_mlContext, s_log)).AppendEvents(View(_mlContext, s_log)));

    [Fact]
    public void Events_that_end_early_are_refused() => AssertRefused("ends too early", bytes => bytes[..^4]);

    [Fact]
    public void An_array_that_claims_to_be_huge_is_refused_before_it_is_allocated()
    {
        AssertRefused("claims", bytes => [.. BitConverter.GetBytes(long.MaxValue), .. bytes[8..]]);
        AssertRefused("ends too early", bytes => [.. BitConverter.GetBytes(1_000_000_000L), .. bytes[8..]]);
    }

    [Fact]
    public void Times_out_of_order_are_refused()
        => AssertRefused("not in order of time", bytes =>
        {
            byte[] spoiled = bytes.ToArray();
            BinaryPrimitives.WriteInt64LittleEndian(spoiled.AsSpan(PlaceOf(bytes, 70)), 99_999);
            return spoiled;
        });

    [Fact]
    public void A_key_beyond_the_count_is_refused()
        => AssertRefused("'Item' has key 4,294,967,295 of 11", bytes => [.. bytes[..^4], 255, 255, 255, 255]);

    [Fact]
    public void Options_that_make_no_sense_are_refused()
    {
        using ModelZip file = Save(Fit());
        file.AssertRefused("HistoryLength must be 1 to 100,000", EditFirst("\"historyLength\": 4", "\"historyLength\": 0"));
    }

    [Theory]
    [InlineData("\"userType\"", "\"userTyp\"", "userTyp")]
    [InlineData("\"formatVersion\": 5", "\"formatVersion\": 0", "format version 0")]
    [InlineData("\"keyCount\": 11", "\"keyCount\": 0", "cannot have 0 keys")]
    [InlineData("\"keyCount\": 11", "\"keyCount\": 12", "has 12 keys, but values for 11")]
    [InlineData("\"kind\": \"Text\"", "\"kind\": 99", "no kind of ids")]
    [InlineData("\"type\": \"Key\"", "\"type\": \"Guid\"", "cannot be of type Guid")]
    public void A_configuration_that_does_not_hold_together_is_refused(string from, string to, string message)
    {
        using ModelZip file = Save(Fit());
        file.AssertRefused(message, EditFirst(from, to));
    }

    [Fact]
    public void A_newer_format_is_refused()
    {
        using ModelZip file = Save(Fit());
        file.AssertRefused("format version 7", EditFirst("\"formatVersion\": 5", "\"formatVersion\": 7"));
    }

    private TransformerChain<ITransformer> Fit(bool saveEvents = true)
    {
        IDataView log = View(_mlContext, s_log), rows = View(_mlContext, s_rows);
        return new EstimatorChain<ITransformer>()
            .Append<ITransformer>(_mlContext.Transforms.Conversion.MapValueToKey("Item"))
            .Append<ITransformer>(_mlContext.Transforms.BehaviorSequence(log, new BehaviorSequenceEstimator.Options { HistoryLength = 4, SaveEvents = saveEvents }))
            .Append<ITransformer>(_mlContext.Transforms.RunningRate(log, new RunningRateEstimator.Options { KeyColumnNames = ["Item", "User"], SaveEvents = saveEvents }))
            .Fit(rows);
    }

    private ModelZip Save(ITransformer model) => new(_mlContext, model, View(_mlContext, s_rows).Schema);

    private string[] Features(ITransformer model)
    {
        IDataView view = model.Transform(View(_mlContext, [.. s_rows, new Event { User = "new", Item = "item 1", Timestamp = 9_000 }, new Event { User = "user 0", Item = "item 3", Timestamp = 9_000 }]));
        return view.GetColumn<uint[]>("HistoryItem").Zip(view.GetColumn<long[]>("HistoryTimestamp"), view.GetColumn<float>("ItemRate"))
            .Zip(view.GetColumn<float>("UserCount"), (row, count) => $"{string.Join(' ', row.First)} | {string.Join(' ', row.Second)} | {row.Third} {count}").ToArray();
    }

    /// <summary>Spoils the events of a BehaviorSequence alone.</summary>
    private void AssertRefused(string message, Func<byte[], byte[]> spoil)
    {
        IDataView log = View(_mlContext, s_log), rows = _mlContext.Transforms.Conversion.MapValueToKey("Item").Fit(log).Transform(log);
        using var file = new ModelZip(_mlContext, _mlContext.Transforms.BehaviorSequence(log).Fit(rows), rows.Schema);
        file.AssertRefused(message, ModelZip.Edit("events.bin", spoil));
    }

    private static Action<ZipArchive> EditFirst(string from, string to) => zip =>
    {
        ZipArchiveEntry entry = zip.Entries.First(entry => entry.FullName.Contains("Transform_001") && entry.Name == "config.json");
        using Stream stream = entry.Open();
        string text = new StreamReader(stream, leaveOpen: true).ReadToEnd();
        Assert.Contains(from, text);
        stream.SetLength(0);
        using var writer = new StreamWriter(stream);
        writer.Write(text.Replace(from, to));
    };

    /// <summary>Where a timestamp of the first user stands.</summary>
    private static int PlaceOf(byte[] bytes, long timestamp) => bytes.AsSpan().IndexOf([.. BitConverter.GetBytes(timestamp), .. BitConverter.GetBytes(timestamp + 70)]);
}
