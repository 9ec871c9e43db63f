using FsCheck;
using FsCheck.Fluent;

namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>Random event logs: few users and short times, so that ties, bursts and empty histories are common.</summary>
internal static class Logs
{
    public sealed class Event
    {
        public string User { get; set; } = "";
        public string Item { get; set; } = "";
        public float Price { get; set; }
        public long Timestamp { get; set; }
        public bool Label { get; set; }
    }

    public static Gen<Event> AnyEvent { get; } =
        from user in Gen.Choose(0, 4)
        from item in Gen.Choose(0, 6)
        from time in Gen.Choose(0, 30)
        from label in Gen.Elements(true, false)
        select new Event { User = $"user {user}", Item = $"item {item}", Price = item / 2f, Timestamp = time, Label = label };

    /// <summary>Logs and rows in any order of time.</summary>
    public static Arbitrary<(Event[] Log, Event[] Rows)> LogsAndRows { get; } =
        (from log in AnyEvent.ArrayOf() from rows in AnyEvent.ArrayOf() select (log, rows)).ToArbitrary();

    public static IDataView View<TRow>(MLContext mlContext, IEnumerable<TRow> rows) where TRow : class => mlContext.Data.LoadFromEnumerable(rows.ToList());
}
