namespace Microsoft.ML.SparseCtr;

/// <summary>
/// One row of a request: what it says of the candidate, the user and the moment. Only <see cref="CtrScorer"/>, which fills the same objects again and
/// again, sets what was made.
/// </summary>
internal sealed class Impression
{
    /// <summary>The candidate's key in each sequence field, the item first.</summary>
    public required int[] SequenceKeys { get; init; }

    /// <summary>The keys of each candidate-only field; a field without any has the missing key.</summary>
    public required int[][] CandidateKeys { get; set; }

    /// <summary>The keys of each user field; a field without any has the missing key.</summary>
    public required int[][] UserKeys { get; set; }

    /// <summary>All numeric slots, not yet standardized.</summary>
    public required float[] Numbers { get; set; }

    /// <summary>Unix seconds.</summary>
    public required long Timestamp { get; set; }

    /// <summary>Behaviors of the request's history that came before the impression, which sees only these: the first so many.</summary>
    public required int PastLength { get; set; }

    /// <summary>1 for a click, 0 for none; NaN where it is missing or was not asked for.</summary>
    public float Label { get; init; } = float.NaN;
}

/// <summary>A history and the impressions that share it, each as far as its own past reaches.</summary>
internal sealed class Request
{
    /// <summary>For each sequence field, the keys of the behaviors, oldest first.</summary>
    public required int[][] HistoryKeys { get; set; }

    /// <summary>Unix seconds of the behaviors, ascending.</summary>
    public required long[] HistoryTimestamps { get; set; }

    public required List<Impression> Impressions { get; init; }

    /// <summary>The time of the row that the request begins with, which may have been left out.</summary>
    public long Timestamp { get; init; }

    /// <summary>What a network made of the history; null where it is still to be done.</summary>
    public HistoryEncoding? Encoding { get; set; }

    public bool HasSameHistoryAs(Request other) => HistoryTimestamps.Length == other.HistoryTimestamps.Length && BeginsAs(other);

    /// <summary>Whether one's history is the beginning of the other's, or the same. No history is the beginning of none but its like.</summary>
    public bool BeginsAs(Request other)
    {
        if (ReferenceEquals(HistoryTimestamps, other.HistoryTimestamps) && ReferenceEquals(HistoryKeys, other.HistoryKeys))
            return true;
        int length = Math.Min(HistoryTimestamps.Length, other.HistoryTimestamps.Length);
        if (length == 0)
            return HistoryTimestamps.Length == other.HistoryTimestamps.Length;
        bool isSame = HistoryTimestamps.AsSpan(0, length).SequenceEqual(other.HistoryTimestamps.AsSpan(0, length));
        for (int field = 0; field < HistoryKeys.Length && isSame; field++)
            isSame = HistoryKeys[field].AsSpan(0, length).SequenceEqual(other.HistoryKeys[field].AsSpan(0, length));
        return isSame;
    }

    /// <summary>The same history with other impressions, which see no more than it.</summary>
    public Request With(List<Impression> impressions) => new()
    {
        HistoryKeys = HistoryKeys,
        HistoryTimestamps = HistoryTimestamps,
        Impressions = impressions,
    };

    /// <summary>The same impressions, which all have the same past, over a copy of no more of the history than that.</summary>
    public Request OverItsPast() => new()
    {
        HistoryKeys = HistoryKeys.Select(keys => keys[..Impressions[0].PastLength]).ToArray(),
        HistoryTimestamps = HistoryTimestamps[..Impressions[0].PastLength],
        Impressions = Impressions,
    };
}
