using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// Trains a table of embeddings, of which each step looks up a few rows, for the cost of these rows: one that is not needed waits, and what the
/// steps would have done to it meanwhile is made up for when it is looked up again. What that is, and what a gradient does, derived classes say.
/// </summary>
/// <remarks>The sums are made one after the other, in the order of the tokens: the same batches give the same weights, bit for bit.</remarks>
internal abstract unsafe class RowwiseOptimizer
{
    /// <summary>Rows that are on their way from memory at a time: waiting for one after the other takes longer than computing them.</summary>
    private const int RowsAhead = 8;

    private const int CacheLine = 64;

    private readonly EmbeddingTable _table;
    private readonly double _decay;

    // Of every row: what the rule keeps; the step up to which it is done; and, within a step, one more than its place among the rows looked up.
    private readonly float[] _kept;
    private readonly int _keptPerRow;
    private readonly (int LastStep, int Place)[] _states;

    // Of every step so far: what it keeps of a weight, and the logarithm of what all steps up to it keep.
    private readonly List<double> _keeps = [1], _logKept = [0];

    // Of the current step: the rows looked up, in the order of their first token, their weights and the sums of their gradients.
    private readonly List<long> _rows = [];
    private readonly List<(int[] Places, Tensor Looked)> _lookups = [];
    private float[] _weights = [], _gradients = [];

    /// <param name="table">The table, on the device that it is trained on.</param>
    /// <param name="weightDecay">Decay of the weights, decoupled from their gradients.</param>
    /// <param name="keptPerRow">How many numbers the rule keeps of each row.</param>
    protected RowwiseOptimizer(EmbeddingTable table, double weightDecay, int keptPerRow)
    {
        (_table, _decay, _keptPerRow) = (table, weightDecay, keptPerRow);
        long rows = table.Weight.shape[0];
        Dimension = (int)table.Weight.shape[1];
        if (keptPerRow * rows > Array.MaxLength)
        {
            throw new InvalidOperationException(
                $"A table of {rows:N0} rows of {Dimension} weights is too large: it must have at most {Array.MaxLength / keptPerRow:N0} rows.");
        }
        (_kept, _states) = (GC.AllocateArray<float>((int)(keptPerRow * rows), pinned: true), new (int, int)[rows]);
        // Written once, all of the memory is there: the system would otherwise hand it out page by page, in the middle of steps.
        Array.Clear(_kept);
        Array.Clear(_states);
    }

    protected int Dimension { get; }

    /// <summary>Steps so far.</summary>
    protected int Step => _keeps.Count - 1;

    /// <summary>Begins a step.</summary>
    protected abstract void BeginStep(double learningRate);

    /// <summary>Updates a row.</summary>
    /// <param name="gradients">The sums of its gradients.</param>
    /// <param name="scale">What these are multiplied by, as clipping wants it.</param>
    /// <param name="keep">What the step's decay leaves of a weight.</param>
    /// <param name="weights">The row's weights.</param>
    /// <param name="kept">What the rule keeps of the row.</param>
    protected abstract void Update(float* gradients, double scale, double keep, float* weights, float* kept);

    /// <summary>Does to a row, but for its decay, what the steps after one that updated it do without gradients: nothing where there is no momentum.</summary>
    protected virtual void CatchUp(int lastStep, float* weights, float* kept)
    {
    }

    /// <summary>What decay left of a weight in the steps after one, up to another.</summary>
    protected double KeptBetween(int step, int later) => Math.Exp(_logKept[later] - _logKept[step]);

    /// <summary>What decay left of a weight in one step.</summary>
    protected double KeptIn(int step) => _keeps[step];

    /// <summary>Looks up rows for the current step; their gradients are kept until <see cref="CollectGradients"/>.</summary>
    public Tensor Look(Tensor rows)
    {
        Tensor wanted = rows.cpu();
        ReadOnlySpan<long> keys = MemoryMarshal.Cast<byte, long>(wanted.bytes);
        var places = new int[keys.Length];
        int before = _rows.Count;
        fixed ((int, int)* states = _states)
        {
            for (int i = 0; i < keys.Length; i++)
            {
                PrefetchAhead(keys, i, states, 1);
                ref int place = ref _states[keys[i]].Place;
                if (place == 0)
                {
                    _rows.Add(keys[i]);
                    place = _rows.Count;
                }
                places[i] = place - 1;
            }
        }

        int size = _rows.Count * Dimension;
        if (_weights.Length < size)
        {
            Array.Resize(ref _weights, Math.Max(size, 2 * _weights.Length));
            Array.Resize(ref _gradients, _weights.Length);
        }
        ReadOnlySpan<long> added = CollectionsMarshal.AsSpan(_rows)[before..];
        Span<float> weights = _weights.AsSpan(before * Dimension, added.Length * Dimension);
        Take(added, weights);
        CatchUp(added, weights);

        Tensor looked = empty(keys.Length, Dimension);
        Span<float> values = MemoryMarshal.Cast<byte, float>(looked.bytes);
        for (int i = 0; i < places.Length; i++)
            _weights.AsSpan(places[i] * Dimension, Dimension).CopyTo(values[(i * Dimension)..]);
        looked = looked.to(_table.Weight.device).requires_grad_(true);
        _lookups.Add((places, looked));
        GC.KeepAlive(wanted);
        return looked;
    }

    /// <summary>Adds up the gradients of what has been looked up since, after a backward pass through it.</summary>
    public void CollectGradients()
    {
        foreach ((int[] places, Tensor looked) in _lookups)
        {
            using Tensor? gradient = looked.grad?.cpu().contiguous();
            if (gradient is null)
                continue;
            float* values = TensorMemory.Floats(gradient);
            fixed (float* sums = _gradients)
            {
                for (int i = 0; i < places.Length; i++)
                    SmallMatrix.AddScaled(values + i * Dimension, 1, sums + places[i] * Dimension, Dimension);
            }
        }
        _lookups.Clear();
    }

    /// <summary>The sum of the squares of the current step's gradients.</summary>
    public double SquaredNorm()
    {
        fixed (float* gradients = _gradients)
            return SmallMatrix.SumOfSquares(gradients, _rows.Count * Dimension);
    }

    /// <summary>Updates the rows of the current step, and begins the next.</summary>
    /// <param name="learningRate">The step's learning rate.</param>
    /// <param name="scale">What gradients are multiplied by, as clipping wants it.</param>
    public void Update(double learningRate, double scale)
    {
        double keep = 1 - learningRate * _decay;
        _keeps.Add(keep);
        _logKept.Add(_logKept[^1] + Math.Log(keep));
        BeginStep(learningRate);
        ReadOnlySpan<long> rows = CollectionsMarshal.AsSpan(_rows);
        fixed (float* weights = _weights, gradients = _gradients, kept = _kept)
        {
            for (int place = 0; place < rows.Length; place++)
            {
                PrefetchAhead(rows, place, kept, _keptPerRow);
                int first = place * Dimension;
                Update(gradients + first, scale, keep, weights + first, kept + rows[place] * _keptPerRow);
                _states[rows[place]] = (Step, 0);
            }
        }
        _gradients.AsSpan(0, rows.Length * Dimension).Clear();
        Put(rows, _weights.AsSpan(0, rows.Length * Dimension));
        _rows.Clear();
    }

    /// <summary>
    /// Makes the table one to predict with: makes up for what waits in all rows, and gives those never looked up the weights of the
    /// first, the missing key's, so that an unseen id is scored as a missing one. Where no key was missing either, all these rows get the mean of
    /// those looked up.
    /// </summary>
    /// <param name="fillUnseenRows">Whether rows never looked up are filled: not where keys share them.</param>
    public void Complete(bool fillUnseenRows)
    {
        ForEachPart(state => state.LastStep > 0 && state.LastStep < Step, (rows, weights) =>
        {
            CatchUp(rows, weights);
            Put(rows, weights);
        });
        if (!fillUnseenRows)
            return;

        float[] fill = _states[0].LastStep > 0 ? FirstRow() : MeanOfSeenRows();
        ForEachPart(state => state.LastStep == 0, (rows, weights) =>
        {
            for (int i = 0; i < weights.Length; i += Dimension)
                fill.CopyTo(weights[i..]);
            Put(rows, weights);
        });
    }

    /// <summary>Carries, between steps, what is kept of rows, but not what is known of steps.</summary>
    public void Carry(StateStream stream)
    {
        stream.Carry(_kept.AsSpan());
        stream.Carry(_states.AsSpan());
    }

    private float[] FirstRow()
    {
        var weights = new float[Dimension];
        Take([0], weights);
        return weights;
    }

    private float[] MeanOfSeenRows()
    {
        var sums = new double[Dimension];
        int count = 0;
        ForEachPart(state => state.LastStep > 0, (rows, weights) =>
        {
            count += rows.Length;
            for (int i = 0; i < weights.Length; i++)
                sums[i % Dimension] += weights[i];
        });
        return sums.Select(sum => (float)(sum / Math.Max(1, count))).ToArray();
    }

    private delegate void PartAction(ReadOnlySpan<long> rows, Span<float> weights);

    /// <summary>Takes the rows in question, in their order and in parts, out of the table.</summary>
    private void ForEachPart(Func<(int LastStep, int Place), bool> isWanted, PartAction action)
    {
        const int partLength = 1 << 16;
        var rows = new List<long>(partLength);
        var weights = new float[partLength * Dimension];
        for (int row = 0; row < _states.Length; row++)
        {
            if (isWanted(_states[row]))
                rows.Add(row);
            if (rows.Count == partLength || row == _states.Length - 1)
            {
                Span<float> part = weights.AsSpan(0, rows.Count * Dimension);
                Take(CollectionsMarshal.AsSpan(rows), part);
                action(CollectionsMarshal.AsSpan(rows), part);
                rows.Clear();
            }
        }
    }

    /// <summary>Does to rows and their weights what the steps since their last update would have done.</summary>
    private void CatchUp(ReadOnlySpan<long> rows, Span<float> allWeights)
    {
        fixed (float* weights = allWeights, kept = _kept)
        {
            for (int place = 0; place < rows.Length; place++)
            {
                PrefetchAhead(rows, place, kept, _keptPerRow);
                ref int lastStep = ref _states[rows[place]].LastStep;
                if (lastStep == Step)
                    continue;
                float* row = weights + place * Dimension;
                SmallMatrix.CopyScaled(row, (float)KeptBetween(lastStep, Step), row, Dimension);
                // Nothing but decay happens to a row before its first gradient.
                if (lastStep > 0)
                    CatchUp(lastStep, row, kept + rows[place] * _keptPerRow);
                lastStep = Step;
            }
        }
    }

    private void Take(ReadOnlySpan<long> rows, Span<float> weights)
    {
        if (TensorMemory.IsDirect(_table.Weight))
        {
            fixed (float* taken = weights)
                CopyRows(rows, TensorMemory.Floats(_table.Weight), taken, areTaken: true);
            return;
        }
        if (rows.IsEmpty)
            return;
        using IDisposable noGradient = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor found = _table.Weight.index_select(0, tensor(rows.ToArray(), device: _table.Weight.device)).cpu();
        MemoryMarshal.Cast<byte, float>(found.bytes).CopyTo(weights);
    }

    private void Put(ReadOnlySpan<long> rows, ReadOnlySpan<float> weights)
    {
        if (TensorMemory.IsDirect(_table.Weight))
        {
            fixed (float* put = weights)
                CopyRows(rows, TensorMemory.Floats(_table.Weight), put, areTaken: false);
            return;
        }
        if (rows.IsEmpty)
            return;
        using IDisposable noGradient = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Device device = _table.Weight.device;
        Tensor values = tensor(weights.ToArray(), device: device).reshape(rows.Length, Dimension);
        _table.Weight.index_copy_(0, tensor(rows.ToArray(), device: device), values);
    }

    /// <summary>Copies rows of the table into weights, one after the other, or back.</summary>
    private void CopyRows(ReadOnlySpan<long> rows, float* table, float* weights, bool areTaken)
    {
        for (int place = 0; place < rows.Length; place++, weights += Dimension)
        {
            PrefetchAhead(rows, place, table, Dimension);
            float* row = table + rows[place] * Dimension;
            new ReadOnlySpan<float>(areTaken ? row : weights, Dimension).CopyTo(new Span<float>(areTaken ? weights : row, Dimension));
        }
    }

    /// <summary>Fetches the row whose turn comes a few places later.</summary>
    private static void PrefetchAhead<T>(ReadOnlySpan<long> rows, int place, T* start, int perRow) where T : unmanaged
        => Prefetch(start + rows[Math.Min(place + RowsAhead, rows.Length - 1)] * perRow, perRow);

    private static void Prefetch<T>(T* from, int count) where T : unmanaged
    {
        if (!Sse.IsSupported)
            return;
        for (byte* line = (byte*)from, end = (byte*)(from + count); line < end; line += CacheLine)
            Sse.Prefetch0(line);
    }
}
