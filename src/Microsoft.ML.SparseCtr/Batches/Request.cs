namespace Microsoft.ML.SparseCtr;

/// <summary>One row of a request: what it says of the candidate, the user and the moment.</summary>
internal sealed class Impression
{
    /// <summary>The candidate's key in each sequence field, the item first.</summary>
    public required int[] SequenceKeys { get; init; }

    /// <summary>The keys of each candidate-only field; a field without any has the missing key.</summary>
    public required int[][] CandidateKeys { get; init; }

    /// <summary>The keys of each user field; a field without any has the missing key.</summary>
    public required int[][] UserKeys { get; init; }

    /// <summary>All numeric slots, not yet standardized.</summary>
    public required float[] Numbers { get; init; }

    /// <summary>Unix seconds.</summary>
    public required long Timestamp { get; init; }

    /// <summary>1 for a click, 0 for none; NaN where it is missing or was not asked for.</summary>
    public float Label { get; init; } = float.NaN;
}

/// <summary>A history and the impressions that share it.</summary>
internal sealed class Request
{
    /// <summary>For each sequence field, the keys of the behaviors, oldest first.</summary>
    public required int[][] HistoryKeys { get; init; }

    /// <summary>Unix seconds of the behaviors, ascending.</summary>
    public required long[] HistoryTimestamps { get; init; }

    public required List<Impression> Impressions { get; init; }

    public bool HasSameHistoryAs(Request other)
        => HistoryTimestamps.AsSpan().SequenceEqual(other.HistoryTimestamps)
           && HistoryKeys.Zip(other.HistoryKeys).All(pair => pair.First.AsSpan().SequenceEqual(pair.Second));
}
