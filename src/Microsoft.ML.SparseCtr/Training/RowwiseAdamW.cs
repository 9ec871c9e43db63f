using System.Numerics;
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

    // Of every row: its two moments, the step of its last update, and, within a step, one more than its place among the rows looked up.
    private readonly float[] _moment1, _moment2;
    private readonly int[] _lastStep, _place;

    // Of every step so far: its learning rate, and the logarithm of the decay of all steps up to it.
    private readonly List<double> _rates = [0], _logDecay = [0];

    // Of the current step: the rows looked up, in the order of their first token, and the sums of their gradients.
    private readonly List<long> _rows = [];
    private readonly List<(int[] Places, Tensor Looked)> _lookups = [];
    private float[] _gradients = [];

    public RowwiseAdamW(EmbeddingTable table, double beta1, double beta2, double epsilon, double weightDecay)
    {
        (_table, _beta1, _beta2, _epsilon, _decay) = (table, beta1, beta2, epsilon, weightDecay);
        long rows = table.Weight.shape[0];
        _dimension = (int)table.Weight.shape[1];
        if (rows * _dimension > Array.MaxLength)
            throw new InvalidOperationException($"A table of {rows:N0} rows of {_dimension} weights is too large: it must have at most {Array.MaxLength:N0} weights.");
        (_moment1, _moment2) = (new float[rows * _dimension], new float[rows * _dimension]);
        (_lastStep, _place) = (new int[rows], new int[rows]);
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
            ref int place = ref _place[wanted[i]];
            if (place == 0)
            {
                _rows.Add(wanted[i]);
                place = _rows.Count;
            }
            places[i] = place - 1;
        }
        using (no_grad())
        {
            CatchUp(CollectionsMarshal.AsSpan(_rows)[before..]);
            Tensor looked = _table.Weight.index_select(0, rows).requires_grad_(true);
            _lookups.Add((places, looked));
            return looked;
        }
    }

    /// <summary>Adds up the gradients of what has been looked up since, after a backward pass through it.</summary>
    public void CollectGradients()
    {
        if (_gradients.Length < _rows.Count * _dimension)
            Array.Resize(ref _gradients, Math.Max(_rows.Count * _dimension, 2 * _gradients.Length));
        foreach ((int[] places, Tensor looked) in _lookups)
        {
            using Tensor? gradient = looked.grad?.cpu().contiguous();
            if (gradient is null)
                continue;
            ReadOnlySpan<float> values = MemoryMarshal.Cast<byte, float>(gradient.bytes);
            for (int i = 0; i < places.Length; i++)
                Add(values.Slice(i * _dimension, _dimension), _gradients.AsSpan(places[i] * _dimension, _dimension));
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
        _rates.Add(learningRate);
        _logDecay.Add(_logDecay[^1] + Math.Log(1 - learningRate * _decay));
        double correction1 = 1 - Math.Pow(_beta1, Step), correction2 = 1 - Math.Pow(_beta2, Step);
        float b1 = (float)_beta1, b2 = (float)_beta2, keep = (float)(1 - learningRate * _decay);
        float rate = (float)(learningRate / correction1), root = (float)Math.Sqrt(correction2), epsilon = (float)_epsilon, factor = (float)scale;
        ReadOnlySpan<long> rows = CollectionsMarshal.AsSpan(_rows);
        Change(rows, (place, row, weights) =>
        {
            Span<float> gradients = _gradients.AsSpan(place * _dimension, _dimension);
            Span<float> m = _moment1.AsSpan(row * _dimension, _dimension), v = _moment2.AsSpan(row * _dimension, _dimension);
            for (int i = 0; i < weights.Length; i++)
            {
                float g = factor * gradients[i];
                m[i] = b1 * m[i] + (1 - b1) * g;
                v[i] = b2 * v[i] + (1 - b2) * g * g;
                weights[i] = keep * weights[i] - rate * m[i] / (MathF.Sqrt(v[i]) / root + epsilon);
            }
            gradients.Clear();
            _lastStep[row] = Step;
            _place[row] = 0;
        });
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
        ForEachPart(row => _lastStep[row] > 0 && _lastStep[row] < Step, rows => CatchUp(rows));
        if (!fillUnseenRows)
            return;
        var fill = new double[_dimension];
        Func<int, bool> isMeant = _lastStep[0] > 0 ? row => row == 0 : row => _lastStep[row] > 0;
        int count = 0;
        ForEachPart(isMeant, rows => Change(rows, (_, _, weights) =>
        {
            count++;
            for (int i = 0; i < fill.Length; i++)
                fill[i] += weights[i];
        }));
        float[] filled = fill.Select(sum => (float)(sum / Math.Max(1, count))).ToArray();
        ForEachPart(row => _lastStep[row] == 0, rows => Change(rows, (_, _, weights) => filled.CopyTo(weights)));
    }

    private delegate void Rows(ReadOnlySpan<long> rows);

    private void ForEachPart(Func<int, bool> isWanted, Rows action)
    {
        const int partLength = 1 << 16;
        var part = new List<long>(partLength);
        for (int row = 0; row < _lastStep.Length; row++)
        {
            if (isWanted(row))
                part.Add(row);
            if (part.Count == partLength || row == _lastStep.Length - 1)
            {
                action(CollectionsMarshal.AsSpan(part));
                part.Clear();
            }
        }
    }

    /// <summary>Does to rows what the steps since their last update would have done.</summary>
    private void CatchUp(ReadOnlySpan<long> rows)
    {
        var waiting = new List<long>();
        foreach (long row in rows)
        {
            if (_lastStep[row] < Step)
                waiting.Add(row);
        }
        var missed = new Dictionary<int, (float Keep, float Move, float Moment1, float Moment2)>();
        Change(CollectionsMarshal.AsSpan(waiting), (_, row, weights) =>
        {
            if (!missed.TryGetValue(_lastStep[row], out (float Keep, float Move, float Moment1, float Moment2) since))
                missed.Add(_lastStep[row], since = Missed(_lastStep[row]));
            Span<float> m = _moment1.AsSpan(row * _dimension, _dimension), v = _moment2.AsSpan(row * _dimension, _dimension);
            for (int i = 0; i < weights.Length; i++)
            {
                float root = MathF.Sqrt(v[i]);
                weights[i] = since.Keep * weights[i] - (root > 0 ? since.Move * m[i] / root : 0);
                m[i] *= since.Moment1;
                v[i] *= since.Moment2;
            }
            _lastStep[row] = Step;
        });
    }

    /// <summary>
    /// What the steps after one do to a row without gradients: w ← keep·w − move·m/√v, m ← β₁ⁿ·m, v ← β₂ⁿ·v. The i-th of them moves w by
    /// rate·(β₁ⁱ·m/(1 − β₁ᵗ))/√(β₂ⁱ·v/(1 − β₂ᵗ)), which later steps decay.
    /// </summary>
    private (float Keep, float Move, float Moment1, float Moment2) Missed(int lastStep)
    {
        double move = 0;
        for (int i = 1; i <= Math.Min(LongestMomentum, Step - lastStep); i++)
        {
            int step = lastStep + i;
            double momentum = Math.Pow(_beta1, i) / (1 - Math.Pow(_beta1, step));
            double root = Math.Sqrt(Math.Pow(_beta2, i) / (1 - Math.Pow(_beta2, step)));
            move += _rates[step] * momentum / root * Math.Exp(_logDecay[Step] - _logDecay[step]);
        }
        int missed = Step - lastStep;
        return ((float)Math.Exp(_logDecay[Step] - _logDecay[lastStep]), (float)move, (float)Math.Pow(_beta1, missed), (float)Math.Pow(_beta2, missed));
    }

    private delegate void ChangeRow(int place, int row, Span<float> weights);

    /// <summary>Takes rows out of the table, changes them, and puts them back.</summary>
    private void Change(ReadOnlySpan<long> rows, ChangeRow change)
    {
        if (rows.IsEmpty)
            return;
        using IDisposable noGradient = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor places = tensor(rows.ToArray(), device: _table.Weight.device);
        Tensor taken = _table.Weight.index_select(0, places).cpu();
        Span<float> weights = MemoryMarshal.Cast<byte, float>(taken.bytes);
        for (int place = 0; place < rows.Length; place++)
            change(place, (int)rows[place], weights.Slice(place * _dimension, _dimension));
        _table.Weight.index_copy_(0, places, taken.to(_table.Weight.device));
    }

    private static void Add(ReadOnlySpan<float> values, Span<float> sums)
    {
        int i = 0;
        for (; i <= values.Length - Vector<float>.Count; i += Vector<float>.Count)
            (new Vector<float>(sums[i..]) + new Vector<float>(values[i..])).CopyTo(sums[i..]);
        for (; i < values.Length; i++)
            sums[i] += values[i];
    }
}
