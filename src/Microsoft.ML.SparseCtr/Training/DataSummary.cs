using Microsoft.ML.Data;

namespace Microsoft.ML.SparseCtr;

/// <summary>What one pass over the training data tells: its size, the statistics of its numbers, and where the latest rows begin.</summary>
/// <param name="Config">The configuration, with means and standard deviations.</param>
/// <param name="TrainingRequests">Requests that are not held out.</param>
/// <param name="SkippedRows">Rows with a missing label or number.</param>
/// <param name="HoldOutAfter">Requests later than this are held out for validation.</param>
internal sealed record DataSummary(CtrConfig Config, long TrainingRequests, long SkippedRows, long HoldOutAfter)
{
    private const int SampleSize = 1_000_000;

    public bool HasHoldOut => HoldOutAfter < long.MaxValue;

    /// <summary>Whether a request of such a time is held out.</summary>
    public bool IsHeldOut(long timestamp) => timestamp > HoldOutAfter;

    /// <summary>Reads the view once, holding the numbers' running moments and a sample of at most a million requests' timestamps.</summary>
    /// <param name="reader">Reads the requests.</param>
    /// <param name="data">The view.</param>
    /// <param name="config">The configuration, whose statistics are still to be found.</param>
    /// <param name="holdOut">The share of the rows, the latest, to keep for validation; 0 for none.</param>
    /// <param name="checkCanceled">Throws once training is to end.</param>
    public static DataSummary Of(RequestReader reader, IDataView data, CtrConfig config, double holdOut, Action checkCanceled)
    {
        long skipped = 0, rows = 0, requests = 0;
        var mean = new double[config.NumericDimension];
        var squares = new double[config.NumericDimension];
        var sample = new List<(long Timestamp, int Rows)>();
        var random = new Random(0);
        foreach (Request request in reader.Read(data, () => skipped++))
        {
            checkCanceled();
            requests++;
            foreach (Impression impression in request.Impressions)
            {
                rows++;
                // Welford's recurrence: stable for large values with small spread.
                for (int i = 0; i < mean.Length; i++)
                {
                    double delta = impression.Numbers[i] - mean[i];
                    mean[i] += delta / rows;
                    squares[i] += delta * (impression.Numbers[i] - mean[i]);
                }
            }
            if (sample.Count < SampleSize)
                sample.Add((request.Timestamp, request.Impressions.Count));
            else if (random.NextInt64(requests) is long place and < SampleSize)
                sample[(int)place] = (request.Timestamp, request.Impressions.Count);
        }

        long holdOutAfter = holdOut > 0 ? LatestKept(sample, 1 - holdOut) : long.MaxValue;
        long training = sample.Count == 0 ? 0 : requests * sample.Count(request => request.Timestamp <= holdOutAfter) / sample.Count;

        var deviation = squares.Select(sum => Math.Sqrt(sum / Math.Max(1, rows))).ToArray();
        int slot = 0;
        CtrConfig standardized = config with
        {
            NumericFields = config.NumericFields.Select(field =>
            {
                Range slots = slot..(slot += field.Mean.Length);
                return field with
                {
                    Mean = mean[slots].Select(value => (float)value).ToArray(),
                    StandardDeviation = deviation[slots].Select(value => value > 0 ? (float)value : 1f).ToArray(),
                };
            }).ToArray(),
        };
        return new DataSummary(standardized, training, skipped, holdOutAfter);
    }

    /// <summary>The time up to which a share of the rows lies; where all that are later would be none, no time at all.</summary>
    private static long LatestKept(List<(long Timestamp, int Rows)> sample, double share)
    {
        double rows = 0, kept = share * sample.Sum(request => (double)request.Rows);
        sample.Sort();
        foreach ((long timestamp, int more) in sample)
        {
            rows += more;
            if (rows >= kept)
                return timestamp < sample[^1].Timestamp ? timestamp : long.MaxValue;
        }
        return long.MaxValue;
    }
}
