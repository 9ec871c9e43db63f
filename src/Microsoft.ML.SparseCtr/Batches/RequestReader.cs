using Microsoft.ML.Data;

namespace Microsoft.ML.SparseCtr;

/// <summary>Reads the current row of a cursor, or of any row, as a request of one impression.</summary>
internal sealed class RowReader
{
    private readonly DataViewRow _row;
    private readonly CtrConfig _config;
    private readonly Func<int[]>?[] _sequenceKeys;
    private readonly Func<int[]>[] _historyKeys, _candidateKeys, _userKeys;
    private readonly Func<float[]>[] _numbers;
    private readonly Func<long> _timestamp;
    private readonly Func<long[]> _historyTimestamps;
    private readonly Func<float>? _label;

    public RowReader(DataViewRow row, CtrConfig config, string? labelColumnName)
    {
        (_row, _config) = (row, config);
        _sequenceKeys = config.SequenceFields.Select(field => field.ColumnName is null ? null : Keys(field.ColumnName, field)).ToArray();
        _historyKeys = config.SequenceFields.Select(field => Keys(field.HistoryColumnName!, field)).ToArray();
        _candidateKeys = config.CandidateFields.Select(field => Keys(field.ColumnName!, field)).ToArray();
        _userKeys = config.UserFields.Select(field => Keys(field.ColumnName!, field)).ToArray();
        _numbers = config.NumericFields.Select(field => ColumnReader.Numbers(row, row.Schema[field.ColumnName])).ToArray();
        _timestamp = ColumnReader.Timestamp(row, row.Schema[config.Options.TimestampColumnName]);
        _historyTimestamps = ColumnReader.Timestamps(row, row.Schema[config.Options.HistoryTimestampColumnName]);
        _label = labelColumnName is null ? null : ColumnReader.Label(row, row.Schema[labelColumnName]);

        Func<int[]> Keys(string column, KeyField field) => ColumnReader.Keys(row, row.Schema[column], field.KeyCount);
    }

    /// <summary>The time of the row, without the rest of it.</summary>
    public long ReadTimestamp() => _timestamp();

    /// <exception cref="InvalidOperationException">The row's history is not one: the message names the row and the column.</exception>
    public Request Read()
    {
        long[] times = _historyTimestamps();
        int[][] keys = _historyKeys.Select(read => read()).ToArray();
        long now = _timestamp();
        CheckHistory(times, keys, now);

        int skipped = (int)History.Skipped(times.Length, _config.Options.HistoryLength, _config.Options.HistoryStride);
        return new Request
        {
            Timestamp = now,
            HistoryTimestamps = skipped == 0 ? times : times[skipped..],
            HistoryKeys = skipped == 0 ? keys : keys.Select(field => field[skipped..]).ToArray(),
            Impressions =
            [
                new Impression
                {
                    SequenceKeys = _sequenceKeys.Select((read, i) => read?.Invoke()[0] ?? _config.SequenceFields[i].CandidateKey).ToArray(),
                    CandidateKeys = _candidateKeys.Select(read => OneOrMore(read())).ToArray(),
                    UserKeys = _userKeys.Select(read => OneOrMore(read())).ToArray(),
                    Numbers = ReadNumbers(),
                    Timestamp = now,
                    PastLength = times.Length - skipped,
                    Label = _label?.Invoke() ?? float.NaN,
                },
            ],
        };
    }

    private float[] ReadNumbers()
    {
        var numbers = new float[_config.NumericDimension];
        int slot = 0;
        foreach (Func<float[]> read in _numbers)
        {
            float[] values = read();
            values.CopyTo(numbers, slot);
            slot += values.Length;
        }
        return numbers;
    }

    private static int[] OneOrMore(int[] keys) => keys.Length > 0 ? keys : [0];

    private void CheckHistory(long[] times, int[][] keys, long now)
    {
        string column = _config.Options.HistoryTimestampColumnName;
        for (int field = 0; field < keys.Length; field++)
        {
            if (keys[field].Length != times.Length)
                throw Bad($"has {keys[field].Length} values, but '{column}' has {times.Length}", _config.SequenceFields[field].HistoryColumnName!);
        }
        for (int i = 0; i < times.Length; i++)
        {
            if (times[i] < 0)
                throw Bad($"has the negative time {times[i]} at position {i}; expected Unix seconds", column);
            if (i > 0 && times[i] < times[i - 1])
                throw Bad($"is not in ascending order: {times[i]} at position {i} follows {times[i - 1]}", column);
        }
        if (now < 0)
            throw Bad($"is the negative time {now}; expected Unix seconds", _config.Options.TimestampColumnName);
        if (times.Length > 0 && times[^1] > now)
            throw Bad($"has an event at {times[^1]}, after the row's own time {now} in '{_config.Options.TimestampColumnName}': a history must not see the future", column);
    }

    private InvalidOperationException Bad(string what, string column) => new($"Row {_row.Position}: column '{column}' {what}.");
}

/// <summary>Reads requests from a view: each row is one, or, with a group column, each run of consecutive rows with the same group, if that is not missing.</summary>
internal sealed class RequestReader(CtrConfig config, string? labelColumnName, string? groupColumnName)
{
    /// <summary>
    /// Streams the requests of a view. Rows with a missing label or number (NaN) are left out and counted.
    /// </summary>
    /// <param name="data">The view; its schema has been checked.</param>
    /// <param name="onSkipped">Called once for every row left out.</param>
    /// <param name="random">Where given, and rows are not grouped, the view is read in shuffled order if it can be.</param>
    /// <param name="isWanted">Where given, whether a request is wanted, by the time of its first row. Of others, no more is read.</param>
    public IEnumerable<Request> Read(IDataView data, Action? onSkipped = null, Random? random = null, Func<long, bool>? isWanted = null)
    {
        string?[] names = [.. InputColumn.Of(config).Select(column => column.Name), labelColumnName, groupColumnName];
        IEnumerable<DataViewSchema.Column> columns = names.OfType<string>().Distinct().Select(name => data.Schema[name]);
        using DataViewRowCursor cursor = data.GetRowCursor(columns, groupColumnName is null && data.CanShuffle ? random : null);
        var reader = new RowReader(cursor, config, labelColumnName);
        Func<bool>? beginsGroup = groupColumnName is null ? null : ColumnReader.BeginsGroup(cursor, data.Schema[groupColumnName]);

        // The request that is being put together; null before the first, and where it is not wanted.
        Request? request = null;
        while (cursor.MoveNext())
        {
            if (beginsGroup?.Invoke() ?? true)
            {
                if (request is { Impressions.Count: > 0 })
                    yield return request;
                request = null;
                if (isWanted is not null && !isWanted(reader.ReadTimestamp()))
                    continue;
            }
            else if (request is null)
            {
                continue;
            }

            Request row = reader.Read();
            if (labelColumnName is not null && IsMissing(row.Impressions[0]))
            {
                onSkipped?.Invoke();
                row.Impressions.Clear();
            }
            if (request is null)
                request = row;
            else if (row.HasSameHistoryAs(request))
                request.Impressions.AddRange(row.Impressions);
            else
                throw new InvalidOperationException($"Row {cursor.Position}: the rows of one group in column '{groupColumnName}' must have the same history.");
        }
        if (request is { Impressions.Count: > 0 })
            yield return request;
    }

    private static bool IsMissing(Impression impression)
        => float.IsNaN(impression.Label) || !Array.TrueForAll(impression.Numbers, float.IsFinite);
}
