using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.SparseCtr.Interop;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// A view in parts by time: what is learned from is older than what is tested on, as it will be in use. Rows of equal time are never in two
/// parts. The parts are views of the data, which is not copied.
/// </summary>
public sealed class TimeSplit
{
    private readonly IHost _host;
    private readonly IDataView _data;
    private readonly string _timestampColumnName;
    private readonly Lazy<(long Validation, long Test)> _starts;

    private TimeSplit(IHostEnvironment environment, IDataView data, string timestampColumnName, Func<TimeSplit, (long, long)> starts, bool hasValidation)
    {
        _host = environment.Register(nameof(TimeSplit));
        new InputColumn("timestamp", timestampColumnName, ColumnContent.Timestamp).Check(_host, MLNetInternals.ShapeOf(data.Schema));
        (_data, _timestampColumnName) = (data, timestampColumnName);
        // What failed, such as a file that was not there, is tried again.
        _starts = new Lazy<(long, long)>(() => starts(this), LazyThreadSafetyMode.PublicationOnly);
        TrainSet = new Part(this, starts => (0, starts.Validation - 1));
        ValidationSet = hasValidation ? new Part(this, starts => (starts.Validation, starts.Test - 1)) : null;
        TestSet = new Part(this, starts => (starts.Test, long.MaxValue));
    }

    /// <summary>The oldest rows.</summary>
    public IDataView TrainSet { get; }

    /// <summary>The rows between the two others; null where none were asked for.</summary>
    public IDataView? ValidationSet { get; }

    /// <summary>The latest rows.</summary>
    public IDataView TestSet { get; }

    /// <summary>
    /// Where the validation set begins, in Unix seconds; where there is none, the test set. For a split by fractions, the first one who asks
    /// for this or for a row has the timestamps read, all at once (8 bytes per row).
    /// </summary>
    /// <exception cref="InvalidOperationException">The rows have too few different times for as many parts, or a time is negative.</exception>
    public long ValidationStart => _starts.Value.Validation;

    /// <summary>Where the test set begins, in Unix seconds.</summary>
    /// <inheritdoc cref="ValidationStart" path="/exception"/>
    public long TestStart => _starts.Value.Test;

    internal static TimeSplit ByFractions(IHostEnvironment environment, IDataView data, string timestampColumnName, double testFraction, double validationFraction)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(testFraction);
        ArgumentOutOfRangeException.ThrowIfNegative(validationFraction);
        if (!(testFraction + validationFraction < 1))
            throw new ArgumentOutOfRangeException(nameof(testFraction), testFraction, $"{nameof(testFraction)} and {nameof(validationFraction)} together must be below 1.");
        return new TimeSplit(environment, data, timestampColumnName, split => split.Quantiles(testFraction, validationFraction), validationFraction > 0);
    }

    internal static TimeSplit ByInstants(IHostEnvironment environment, IDataView data, string timestampColumnName, long testStart, long? validationStart)
    {
        if (validationStart > testStart)
            throw new ArgumentOutOfRangeException(nameof(validationStart), validationStart, $"{nameof(validationStart)} must not be after {nameof(testStart)}.");
        return new TimeSplit(environment, data, timestampColumnName, _ => (validationStart ?? testStart, testStart), validationStart is not null);
    }

    private (long Validation, long Test) Quantiles(double testFraction, double validationFraction)
    {
        var times = new List<long>((int)Math.Min(_data.GetRowCount() ?? 0, Array.MaxLength));
        EventLog.Read(_data, _timestampColumnName, [], checkCanceled: null, _ => times.Add);
        times.Sort();
        long test = At(1 - testFraction), validation = At(1 - testFraction - validationFraction);
        bool isSplit = times.Count > 0 && times[0] < validation && (validation < test || validationFraction == 0);
        return isSplit ? (validation, test) : throw new InvalidOperationException(
            $"The {times.Count:N0} rows have too few different times in column '{_timestampColumnName}' for a split by these fractions, because rows of equal time stay together.");

        // Rounding must not move a boundary of a round fraction, such as 0.9 of 100,000 rows, by a row.
        long At(double share) => times.Count == 0 ? 0 : times[(int)Math.Min(times.Count - 1, Math.Ceiling(share * times.Count - 1e-6))];
    }

    /// <summary>The rows from a first to a last second.</summary>
    private sealed class Part(TimeSplit split, Func<(long Validation, long Test), (long First, long Last)> seconds) : IDataView
    {
        public bool CanShuffle => split._data.CanShuffle;

        public DataViewSchema Schema => split._data.Schema;

        public long? GetRowCount() => null;

        public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null)
        {
            DataViewSchema.Column[] active = columnsNeeded.ToArray();
            (long, long) bounds = seconds(split._starts.Value);
            return Filter(split._data.GetRowCursor(WithTime(active), rand), bounds, active);
        }

        public DataViewRowCursor[] GetRowCursorSet(IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null)
        {
            DataViewSchema.Column[] active = columnsNeeded.ToArray();
            (long, long) bounds = seconds(split._starts.Value);
            return split._data.GetRowCursorSet(WithTime(active), n, rand).Select(cursor => Filter(cursor, bounds, active)).ToArray();
        }

        private IEnumerable<DataViewSchema.Column> WithTime(DataViewSchema.Column[] columns)
            => columns.Append(Schema[split._timestampColumnName]).DistinctBy(column => column.Index);

        private Cursor Filter(DataViewRowCursor cursor, (long First, long Last) bounds, DataViewSchema.Column[] active)
            => new(cursor, EventLog.Time(cursor, split._timestampColumnName, "The data"), bounds.First, bounds.Last, active);
    }

    private sealed class Cursor(DataViewRowCursor input, Func<long> time, long first, long last, DataViewSchema.Column[] active) : DataViewRowCursor
    {
        private long _position = -1;

        public override DataViewSchema Schema => input.Schema;
        public override long Position => _position;
        public override long Batch => input.Batch;

        public override bool MoveNext()
        {
            while (input.MoveNext())
            {
                if (time() is long now && now >= first && now <= last)
                {
                    _position++;
                    return true;
                }
            }
            _position = -1;
            return false;
        }

        public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column) => IsColumnActive(column)
            ? input.GetGetter<TValue>(column)
            : throw new InvalidOperationException($"Column '{column.Name}' is not active: it was not among the columns asked for.");

        public override ValueGetter<DataViewRowId> GetIdGetter() => input.GetIdGetter();
        public override bool IsColumnActive(DataViewSchema.Column column) => active.Any(other => other.Index == column.Index);

        protected override void Dispose(bool disposing)
        {
            if (disposing)
                input.Dispose();
            base.Dispose(disposing);
        }
    }
}
