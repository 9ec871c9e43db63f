using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// AdamW (Loshchilov and Hutter, 2019) for a table of embeddings, of which each step looks up a few rows. It gives what AdamW gives that updates
/// the whole table at every step, for the cost of the rows looked up: a row that is not needed waits, and what its momentum and its
/// decay would have done meanwhile is made up for in closed form when it is looked up again. (Only ε is left out of that.)
/// </summary>
/// <remarks>The sums are made one after the other, in the order of the tokens: the same batches give the same weights, bit for bit.</remarks>
internal sealed class RowwiseAdamW
{
    // Beyond this many steps what is left of a row's momentum is below the precision of a Single.
    private const int LongestMomentum = 150;

    private readonly EmbeddingTable _table;
    private readonly double _beta1, _beta2, _epsilon, _decay;
    private readonly int _dimension;

    // Of every row: its first and second moments, side by side, as both are in need at once; the step of its last update; and, within a
    // step, one more than its place among the rows looked up.
    private readonly float[] _moments;
    private readonly (int LastStep, int Place)[] _states;

    // Of every step so far: its learning rate with both corrections of bias, what it keeps of a weight, and the logarithm of what all steps
    // up to it keep.
    private readonly List<double> _rates = [0], _keeps = [1], _logKept = [0];

    // Of the current step: the rows looked up, in the order of their first token, their weights and the sums of their gradients.
    private readonly List<long> _rows = [];
    private readonly List<(int[] Places, Tensor Looked)> _lookups = [];
    private float[] _weights = [], _gradients = [];

    public RowwiseAdamW(EmbeddingTable table, double beta1, double beta2, double epsilon, double weightDecay)
    {
        (_table, _beta1, _beta2, _epsilon, _decay) = (table, beta1, beta2, epsilon, weightDecay);
        long rows = table.Weight.shape[0];
        _dimension = (int)table.Weight.shape[1];
        if (2 * rows * _dimension > Array.MaxLength)
            throw new InvalidOperationException($"A table of {rows:N0} rows of {_dimension} weights is too large: it must have at most {Array.MaxLength / 2:N0} weights.");
        (_moments, _states) = (new float[2 * rows * _dimension], new (int, int)[rows]);
        // Written once, all of the memory is there: the system would otherwise hand it out page by page, in the middle of steps.
        Array.Clear(_moments);
        Array.Clear(_states);
    }

    private int Step => _rates.Count - 1;

    /// <summary>Looks up rows for the current step; their gradients are kept until <see cref="CollectGradients"/>.</summary>
    public Tensor Look(Tensor rows)
    {
        long[] wanted = rows.cpu().data<long>().ToArray();
        var places = new int[wanted.Length];
        int before = _rows.Count;
        for (int i = 0; i < wanted.Length; i++)
        {
            ref int place = ref _states[wanted[i]].Place;
            if (place == 0)
            {
                _rows.Add(wanted[i]);
                place = _rows.Count;
            }
            places[i] = place - 1;
        }

        int size = _rows.Count * _dimension;
        if (_weights.Length < size)
        {
            Array.Resize(ref _weights, Math.Max(size, 2 * _weights.Length));
            Array.Resize(ref _gradients, _weights.Length);
        }
        ReadOnlySpan<long> added = CollectionsMarshal.AsSpan(_rows)[before..];
        Span<float> weights = _weights.AsSpan(before * _dimension, added.Length * _dimension);
        Take(added, weights);
        CatchUp(added, weights);

        var values = new float[wanted.Length * _dimension];
        for (int i = 0; i < places.Length; i++)
            _weights.AsSpan(places[i] * _dimension, _dimension).CopyTo(values.AsSpan(i * _dimension));
        Tensor looked = tensor(values, device: _table.Weight.device).reshape(wanted.Length, _dimension).requires_grad_(true);
        _lookups.Add((places, looked));
        return looked;
    }

    /// <summary>Adds up the gradients of what has been looked up since, after a backward pass through it.</summary>
    public unsafe void CollectGradients()
    {
        foreach ((int[] places, Tensor looked) in _lookups)
        {
            using Tensor? gradient = looked.grad?.cpu().contiguous();
            if (gradient is null)
                continue;
            fixed (byte* values = gradient.bytes)
            fixed (float* sums = _gradients)
            {
                for (int i = 0; i < places.Length; i++)
                    SmallMatrix.AddScaled((float*)values + i * _dimension, 1, sums + places[i] * _dimension, _dimension);
            }
        }
        _lookups.Clear();
    }

    /// <summary>The sum of the squares of the current step's gradients.</summary>
    public double SquaredNorm()
    {
        double sum = 0;
        foreach (float value in _gradients.AsSpan(0, _rows.Count * _dimension))
            sum += (double)value * value;
        return sum;
    }

    /// <summary>Updates the rows of the current step, and begins the next.</summary>
    /// <param name="learningRate">The step's learning rate.</param>
    /// <param name="scale">What gradients are multiplied by, as clipping wants it.</param>
    public void Update(double learningRate, double scale)
    {
        int step = Step + 1;
        double root = Math.Sqrt(1 - Math.Pow(_beta2, step));
        _rates.Add(learningRate * root / (1 - Math.Pow(_beta1, step)));
        _keeps.Add(1 - learningRate * _decay);
        _logKept.Add(_logKept[^1] + Math.Log(_keeps[^1]));
        float b1 = (float)_beta1, b2 = (float)_beta2, keep = (float)_keeps[^1], factor = (float)scale;
        float rate = (float)_rates[^1], epsilon = (float)(_epsilon * root);
        for (int place = 0; place < _rows.Count; place++)
        {
            long row = _rows[place];
            Span<float> w = _weights.AsSpan(place * _dimension, _dimension), gradients = _gradients.AsSpan(place * _dimension, _dimension);
            Span<float> m = MomentOf(row, 0), v = MomentOf(row, 1);
            for (int i = 0; i < w.Length; i++)
            {
                float g = factor * gradients[i];
                m[i] = b1 * m[i] + (1 - b1) * g;
                v[i] = b2 * v[i] + (1 - b2) * g * g;
                w[i] = keep * w[i] - rate * m[i] / (MathF.Sqrt(v[i]) + epsilon);
            }
            gradients.Clear();
            _states[row] = (Step, 0);
        }
        Put(CollectionsMarshal.AsSpan(_rows), _weights.AsSpan(0, _rows.Count * _dimension));
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
            for (int i = 0; i < weights.Length; i += _dimension)
                fill.CopyTo(weights[i..]);
            Put(rows, weights);
        });
    }

    private float[] FirstRow()
    {
        var weights = new float[_dimension];
        Take([0], weights);
        return weights;
    }

    private float[] MeanOfSeenRows()
    {
        var sums = new double[_dimension];
        int count = 0;
        ForEachPart(state => state.LastStep > 0, (rows, weights) =>
        {
            count += rows.Length;
            for (int i = 0; i < weights.Length; i++)
                sums[i % _dimension] += weights[i];
        });
        return sums.Select(sum => (float)(sum / Math.Max(1, count))).ToArray();
    }

    private delegate void PartAction(ReadOnlySpan<long> rows, Span<float> weights);

    /// <summary>Takes the rows in question, in their order and in parts, out of the table.</summary>
    private void ForEachPart(Func<(int LastStep, int Place), bool> isWanted, PartAction action)
    {
        const int partLength = 1 << 16;
        var rows = new List<long>(partLength);
        var weights = new float[partLength * _dimension];
        for (int row = 0; row < _states.Length; row++)
        {
            if (isWanted(_states[row]))
                rows.Add(row);
            if (rows.Count == partLength || row == _states.Length - 1)
            {
                Span<float> part = weights.AsSpan(0, rows.Count * _dimension);
                Take(CollectionsMarshal.AsSpan(rows), part);
                action(CollectionsMarshal.AsSpan(rows), part);
                rows.Clear();
            }
        }
    }

    /// <summary>Does to rows and their weights what the steps since their last update would have done.</summary>
    private void CatchUp(ReadOnlySpan<long> rows, Span<float> weights)
    {
        var missed = new Dictionary<int, (float Keep, float Move, float Moment1, float Moment2)>();
        for (int place = 0; place < rows.Length; place++)
        {
            ref int lastStep = ref _states[rows[place]].LastStep;
            if (lastStep == Step)
                continue;
            if (!missed.TryGetValue(lastStep, out (float Keep, float Move, float Moment1, float Moment2) since))
                missed.Add(lastStep, since = Missed(lastStep));
            Span<float> w = weights.Slice(place * _dimension, _dimension);
            Span<float> m = MomentOf(rows[place], 0), v = MomentOf(rows[place], 1);
            for (int i = 0; i < w.Length; i++)
            {
                float root = MathF.Sqrt(v[i]);
                w[i] = since.Keep * w[i] - (root > 0 ? since.Move * m[i] / root : 0);
                m[i] *= since.Moment1;
                v[i] *= since.Moment2;
            }
            lastStep = Step;
        }
    }

    private Span<float> MomentOf(long row, int which) => _moments.AsSpan(checked((int)((2 * row + which) * _dimension)), _dimension);

    /// <summary>
    /// What the steps after one do to a row without gradients: w ← keep·w − move·m/√v, m ← β₁ⁿ·m, v ← β₂ⁿ·v. The i-th of them moves w by
    /// rate·(β₁ⁱ·m/(1 − β₁ᵗ))/√(β₂ⁱ·v/(1 − β₂ᵗ)), which later steps decay.
    /// </summary>
    private (float Keep, float Move, float Moment1, float Moment2) Missed(int lastStep)
    {
        double move = 0, ratio = _beta1 / Math.Sqrt(_beta2), momentum = 1;
        int last = Math.Min(Step, lastStep + LongestMomentum);
        for (int step = lastStep + 1; step <= last; step++)
        {
            momentum *= ratio;
            move = _keeps[step] * move + _rates[step] * momentum;
        }
        move *= Math.Exp(_logKept[Step] - _logKept[last]);
        int missed = Step - lastStep;
        return ((float)Math.Exp(_logKept[Step] - _logKept[lastStep]), (float)move, (float)Math.Pow(_beta1, missed), (float)Math.Pow(_beta2, missed));
    }

    private void Take(ReadOnlySpan<long> rows, Span<float> weights)
    {
        if (rows.IsEmpty)
            return;
        using IDisposable noGradient = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor taken = _table.Weight.index_select(0, tensor(rows.ToArray(), device: _table.Weight.device)).cpu();
        MemoryMarshal.Cast<byte, float>(taken.bytes).CopyTo(weights);
    }

    private void Put(ReadOnlySpan<long> rows, ReadOnlySpan<float> weights)
    {
        if (rows.IsEmpty)
            return;
        using IDisposable noGradient = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Device device = _table.Weight.device;
        Tensor values = tensor(weights.ToArray(), device: device).reshape(rows.Length, _dimension);
        _table.Weight.index_copy_(0, tensor(rows.ToArray(), device: device), values);
    }
}
