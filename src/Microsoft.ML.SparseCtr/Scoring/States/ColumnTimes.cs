using static Microsoft.ML.SparseCtr.SmallMatrix;

namespace Microsoft.ML.SparseCtr;

/// <summary>When the columns of one branch are of, which all blocks share: what RelTemporal sees of them, and whether there is anything in them.</summary>
internal sealed class ColumnTimes
{
    private double[] _seconds = [];
    private float[] _cosine = [], _sine = [], _weekend = [], _hidden = [];

    /// <summary>Columns up to the last one that has been written.</summary>
    public int Count { get; private set; }

    /// <summary>The same, up to a multiple of a vector: what is behind them is hidden.</summary>
    public int Width => RoundUp(Count, Lanes);

    public long ByteSize => _seconds.Length * (sizeof(double) + 4L * sizeof(float));

    public void Write(int column, Moment time)
    {
        Reserve(column + 1);
        Count = Math.Max(Count, column + 1);
        (_seconds[column], _cosine[column], _sine[column], _weekend[column], _hidden[column]) = (time.Seconds, time.Cosine, time.Sine, time.Weekend, 0);
    }

    public bool IsVisible(int column) => column < Count && _hidden[column] == 0;

    public void Copy(int from, int to)
        => (_seconds[to], _cosine[to], _sine[to], _weekend[to], _hidden[to]) = (_seconds[from], _cosine[from], _sine[from], _weekend[from], _hidden[from]);

    public void Hide(int column)
    {
        if (column < Count)
            _hidden[column] = float.NegativeInfinity;
    }

    public void Clear()
    {
        Count = 0;
        _hidden.AsSpan().Fill(float.NegativeInfinity);
    }

    /// <summary>Writes what a query of some time sees of the columns.</summary>
    /// <param name="time">Its moment.</param>
    /// <param name="inverseScale">1/τ.</param>
    /// <param name="pairs">Receives it: <see cref="Width"/> numbers in each row, from the first of its columns on.</param>
    public unsafe void WritePairs(Moment time, float inverseScale, TemporalPairs pairs)
    {
        _hidden.AsSpan(0, Width).CopyTo(new Span<float>(pairs.Hidden, Width));
        fixed (double* seconds = _seconds)
        fixed (float* cosine = _cosine, sine = _sine, weekend = _weekend)
            pairs.Compute(time, new(seconds, cosine, sine, weekend), inverseScale, Width);
    }

    private void Reserve(int count)
    {
        int old = _hidden.Length;
        if (count <= old)
            return;
        int length = RoundUp(Math.Max(count, 2 * old), Lanes);
        Array.Resize(ref _seconds, length);
        Array.Resize(ref _cosine, length);
        Array.Resize(ref _sine, length);
        Array.Resize(ref _weekend, length);
        Array.Resize(ref _hidden, length);
        _hidden.AsSpan(old).Fill(float.NegativeInfinity);
    }
}
