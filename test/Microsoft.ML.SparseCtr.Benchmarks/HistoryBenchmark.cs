using System.Diagnostics;
using Microsoft.Data.Sqlite;
using Microsoft.ML.Data;
using static System.FormattableString;

namespace Microsoft.ML.SparseCtr.Benchmarks;

/// <summary>
/// An event log of 200,000 users, whose activity is as uneven as people's: builds the index, reads histories of up to 1,000 events, and lets a
/// database do the same.
/// </summary>
internal static class HistoryBenchmark
{
    private const int Users = 200_000;
    private const int Items = 1_000_000;
    private const int HistoryLength = 1_000;
    private const int MostActive = 100;
    private const int Rows = 500_000;
    private const int RowsOfDatabase = 20_000;
    private const int BytesPerEvent = sizeof(uint) + sizeof(uint) + sizeof(long);

    private sealed class Event
    {
        [KeyType(Users)]
        public uint User { get; set; }

        [KeyType(Items)]
        public uint Item { get; set; }

        public long Timestamp { get; set; }
    }

    private sealed class Row
    {
        [KeyType(Users)]
        public uint User { get; set; }

        public long Timestamp { get; set; }
    }

    public static void Run(int events)
    {
        Console.WriteLine($"histories: {events:N0} events of {Users:N0} users, {BytesPerEvent} raw bytes each (user and item as UInt32 keys, time as Int64)");
        var mlContext = new MLContext(seed: 1);

        // In order of time, as logs are, and shuffled, the worst case for the sort.
        double raw = (double)BytesPerEvent * events;
        foreach (bool shuffled in new[] { true, false })
        {
            (BehaviorSequenceTransformer transformer, double seconds, double peak, double held) = Build(mlContext, events, shuffled);
            Console.WriteLine(Invariant($"  index of the {(shuffled ? "shuffled" : "ordered")} log: built in {seconds:F2} s, {events / seconds / 1e6:F2} million events/s; ")
                + Invariant($"memory at its peak {peak / raw:F2} times the raw bytes, {held / raw:F2} times once built"));
            if (!shuffled)
            {
                Read(mlContext, transformer, events, MostActive);
                double rowsPerSecond = Read(mlContext, transformer, events, mostActive: null);
                Append(mlContext, transformer, events);
                double databaseRowsPerSecond = ReadFromDatabase(events);
                Console.WriteLine(Invariant($"  BehaviorSequence reads {rowsPerSecond / databaseRowsPerSecond:F0} times as many rows/s as SQLite"));
            }
        }
    }

    /// <summary>The same log for the index and the database; row i is made from i alone, so that nothing of it has to be kept.</summary>
    private static Event EventAt(int i, int events, bool shuffled, Event row)
    {
        int place = shuffled ? (int)(i * 2_654_435_761L % events) : i;
        var random = new SplitMix((ulong)place);
        row.User = UserOf(random.NextDouble());
        row.Item = (uint)(1 + random.NextDouble() * random.NextDouble() * (Items - 1));
        row.Timestamp = 1_700_000_000 + 7L * place;
        return row;
    }

    /// <summary>A tenth of the users has most of the events.</summary>
    private static uint UserOf(double uniform) => (uint)(1 + Math.Pow(uniform, 4) * (Users - 1));

    private static IEnumerable<Event> Log(int events, bool shuffled)
    {
        var row = new Event();
        for (int i = 0; i < events; i++)
            yield return EventAt(i, events, shuffled, row);
    }

    /// <summary>Rows of the second half of the log's time.</summary>
    /// <param name="count">How many.</param>
    /// <param name="events">The log's size.</param>
    /// <param name="mostActive">Of so many of the most active users, evenly; null takes users as often as they act.</param>
    private static IEnumerable<Row> RandomRows(int count, int events, int? mostActive = null)
    {
        var row = new Row();
        var random = new SplitMix(42);
        for (int i = 0; i < count; i++)
        {
            row.User = mostActive is int users ? (uint)(1 + random.NextDouble() * users) : UserOf(random.NextDouble());
            row.Timestamp = 1_700_000_000 + (long)(7L * events * (0.5 + 0.5 * random.NextDouble()));
            yield return row;
        }
    }

    private static (BehaviorSequenceTransformer Transformer, double Seconds, double Peak, double Held) Build(MLContext mlContext, int events, bool shuffled)
    {
        IDataView log = mlContext.Data.LoadFromEnumerable(Log(events, shuffled)), rows = mlContext.Data.LoadFromEnumerable(RandomRows(1, events));
        BehaviorSequenceEstimator estimator = mlContext.Transforms.BehaviorSequence(log, historyLength: HistoryLength);
        long before = GC.GetTotalMemory(forceFullCollection: true);
        using var peak = new PeakMemory();
        var clock = Stopwatch.StartNew();
        BehaviorSequenceTransformer transformer = estimator.Fit(rows);
        double seconds = clock.Elapsed.TotalSeconds;
        return (transformer, seconds, peak.Stop() - before, GC.GetTotalMemory(forceFullCollection: true) - before);
    }

    private static double Read(MLContext mlContext, BehaviorSequenceTransformer transformer, int events, int? mostActive)
    {
        IDataView view = transformer.Transform(mlContext.Data.LoadFromEnumerable(RandomRows(Rows, events, mostActive)));
        var clock = Stopwatch.StartNew();
        long read = 0;
        using DataViewRowCursor cursor = view.GetRowCursor([view.Schema["HistoryItem"], view.Schema["HistoryTimestamp"]]);
        ValueGetter<VBuffer<uint>> readItems = cursor.GetGetter<VBuffer<uint>>(view.Schema["HistoryItem"]);
        ValueGetter<VBuffer<long>> readTimes = cursor.GetGetter<VBuffer<long>>(view.Schema["HistoryTimestamp"]);
        VBuffer<uint> items = default;
        VBuffer<long> times = default;
        while (cursor.MoveNext())
        {
            readItems(ref items);
            readTimes(ref times);
            read += items.Length + times.Length;
        }
        double seconds = clock.Elapsed.TotalSeconds;
        Console.WriteLine(Invariant($"  histories of up to {HistoryLength:N0} events, {read / 2.0 / Rows:F0} on average, items and times read by one thread: {Rows / seconds:N0} rows/s"));
        return Rows / seconds;
    }

    private static void Append(MLContext mlContext, BehaviorSequenceTransformer transformer, int events)
    {
        const int batches = 100, batchSize = 1_000;
        var clock = Stopwatch.StartNew();
        for (int batch = 0; batch < batches; batch++)
        {
            transformer.Append(mlContext.Data.LoadFromEnumerable(Enumerable.Range(events + batch * batchSize, batchSize)
                .Select(i => EventAt(i, int.MaxValue, shuffled: false, new Event())).ToList()));
        }
        Console.WriteLine(Invariant($"  appending {batches} logs of {batchSize:N0} events: {batches * batchSize / clock.Elapsed.TotalSeconds:N0} events/s"));
    }

    /// <summary>SQLite in memory, with an index that holds all that is asked for.</summary>
    private static double ReadFromDatabase(int events)
    {
        SQLitePCL.Batteries_V2.Init();
        using var connection = new SqliteConnection("Data Source=:memory:");
        connection.Open();
        Execute("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; CREATE TABLE events(user INTEGER, time INTEGER, item INTEGER)");
        var clock = Stopwatch.StartNew();
        using (SqliteTransaction transaction = connection.BeginTransaction())
        {
            using SqliteCommand insert = connection.CreateCommand();
            insert.CommandText = "INSERT INTO events VALUES ($user, $time, $item)";
            SqliteParameter user = insert.Parameters.Add("$user", SqliteType.Integer), time = insert.Parameters.Add("$time", SqliteType.Integer), item = insert.Parameters.Add("$item", SqliteType.Integer);
            foreach (Event row in Log(events, shuffled: false))
            {
                (user.Value, time.Value, item.Value) = ((long)row.User, row.Timestamp, (long)row.Item);
                insert.ExecuteNonQuery();
            }
            transaction.Commit();
        }
        Execute("CREATE INDEX by_user ON events(user, time, item)");
        Console.WriteLine(Invariant($"  SQLite in memory: loaded and indexed in {clock.Elapsed.TotalSeconds:F2} s"));

        clock.Restart();
        using SqliteCommand select = connection.CreateCommand();
        select.CommandText = $"SELECT item, time FROM events WHERE user = $user AND time < $time ORDER BY time DESC LIMIT {HistoryLength}";
        SqliteParameter ofUser = select.Parameters.Add("$user", SqliteType.Integer), before = select.Parameters.Add("$time", SqliteType.Integer);
        select.Prepare();
        long read = 0;
        foreach (Row row in RandomRows(RowsOfDatabase, events))
        {
            (ofUser.Value, before.Value) = ((long)row.User, row.Timestamp);
            using SqliteDataReader reader = select.ExecuteReader();
            while (reader.Read())
                read += (reader.GetInt64(0) & 0) + (reader.GetInt64(1) & 0) + 1;
        }
        double seconds = clock.Elapsed.TotalSeconds;
        Console.WriteLine(Invariant($"  SQLite's histories, {read / (double)RowsOfDatabase:F0} events on average, one thread: {RowsOfDatabase / seconds:N0} rows/s"));
        return RowsOfDatabase / seconds;

        void Execute(string sql)
        {
            using SqliteCommand command = connection.CreateCommand();
            command.CommandText = sql;
            command.ExecuteNonQuery();
        }
    }

    /// <summary>A small random generator whose state is one number (Steele, Lea and Flood, 2014), so that any row can be made at once.</summary>
    private struct SplitMix(ulong seed)
    {
        private ulong _state = seed;

        public double NextDouble()
        {
            ulong z = _state += 0x9E3779B97F4A7C15;
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
            z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
            return ((z ^ (z >> 31)) >> 11) * (1.0 / (1UL << 53));
        }
    }
}
