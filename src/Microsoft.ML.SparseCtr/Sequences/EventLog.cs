using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.SparseCtr;

/// <summary>A transformer that holds events, and takes more.</summary>
internal interface IEventAppender
{
    /// <summary>Does all that takes time or can fail.</summary>
    /// <param name="events">The events.</param>
    /// <param name="checkCanceled">Throws once reading is to end.</param>
    EventIndexes.Appending PrepareToAppend(IDataView events, Action? checkCanceled);
}

/// <summary>A log of events: rows with a time and whatever else.</summary>
internal static class EventLog
{
    private const int RowsBetweenChecks = 1 << 16;

    private static readonly Lock s_appending = new();

    /// <summary>Adds events to all of several transformers, or to none. Of calls at the same time, one waits for the other.</summary>
    public static void AppendTo(IEnumerable<IEventAppender> appenders, IDataView events, Action? checkCanceled = null)
    {
        ArgumentNullException.ThrowIfNull(events);
        lock (s_appending)
        {
            foreach (EventIndexes.Appending prepared in appenders.Select(appender => appender.PrepareToAppend(events, checkCanceled)).ToArray())
                prepared.Show();
        }
    }

    /// <summary>Warns, once for a log, of events that were left out.</summary>
    /// <param name="host">Who warns.</param>
    /// <param name="skipped">How many; none is no reason to warn.</param>
    /// <param name="which">Which, in the words of the message.</param>
    public static void WarnOfSkipped(IHost host, long skipped, string which)
    {
        if (skipped == 0)
            return;
        using IChannel channel = host.Start("Indexing");
        channel.Warning(MessageSensitivity.None, $"Skipped {skipped} events of the log {which}.");
    }

    /// <summary>Reads the log once.</summary>
    /// <param name="log">The log; its schema has been checked.</param>
    /// <param name="timestampColumnName">The time of an event: Unix seconds or DateTime.</param>
    /// <param name="columnNames">What else is read.</param>
    /// <param name="checkCanceled">Throws once reading is to end.</param>
    /// <param name="open">Given the row that will run through the log, returns what to do with each event, given its time.</param>
    /// <exception cref="InvalidOperationException">An event's time is negative.</exception>
    public static void Read(
        IDataView log, string timestampColumnName, IEnumerable<string> columnNames, Action? checkCanceled, Func<DataViewRow, Action<long>> open)
    {
        using DataViewRowCursor cursor = log.GetRowCursor(columnNames.Append(timestampColumnName).Distinct().Select(name => log.Schema[name]));
        Func<long> readTime = Time(cursor, timestampColumnName, "The event log");
        Action<long> add = open(cursor);
        for (long row = 0; cursor.MoveNext(); row++)
        {
            if (row % RowsBetweenChecks == 0)
                checkCanceled?.Invoke();
            add(readTime());
        }
    }

    /// <summary>Reads the time of the current row, which must be one.</summary>
    public static Func<long> Time(DataViewRow row, string columnName, string where)
    {
        Func<long> read = ColumnReader.Timestamp(row, row.Schema[columnName]);
        return () =>
        {
            long time = read();
            return time >= 0 ? time : throw new InvalidOperationException(
                $"{where}, row {row.Position}: column '{columnName}' is the negative time {time}; expected Unix seconds, or a DateTime from 1970 on.");
        };
    }
}
