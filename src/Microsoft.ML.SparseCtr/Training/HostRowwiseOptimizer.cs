using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using TorchSharp;
using static System.FormattableString;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>Trains a table in .NET code, with what it keeps of rows in the CPU's memory, wherever the table is: its rows are taken out of it and put back.</summary>
internal sealed unsafe class HostRowwiseOptimizer : RowwiseOptimizer
{
    /// <summary>Rows that are on their way from memory at a time: waiting for one after the other takes longer than computing them.</summary>
    private const int RowsAhead = 8;

    private const int CacheLine = 64;

    private readonly RowwiseRule _rule;

    // Of every row: what the rule keeps; the step up to which it is done; and, within a step, one more than its place among the rows looked up.
    private readonly float[] _kept;
    private readonly int _keptPerRow;
    private readonly (int LastStep, int Place)[] _states;

    // Of the current step: the rows looked up, in the order of their first token, their weights and the sums of their gradients.
    private readonly List<long> _rows = [];
    private readonly List<(int[] Places, Tensor Looked)> _lookups = [];
    private float[] _weights = [], _gradients = [];

    /// <param name="table">The table, on the device that it is trained on.</param>
    /// <param name="rule">How rows are updated.</param>
    public HostRowwiseOptimizer(EmbeddingTable table, RowwiseRule rule) : base(table)
    {
        (_rule, _keptPerRow) = (rule, rule.KeptPerRow(Dimension));
        if (_keptPerRow * Rows > Array.MaxLength)
        {
            throw new InvalidOperationException(
                Invariant($"A table of {Rows:N0} rows of {Dimension} weights is too large: it must have at most {Array.MaxLength / _keptPerRow:N0} rows. ")
                + $"Set {nameof(CtrTrainerOptions.MaximumTableRows)}, or lower {nameof(CtrTrainerOptions.EmbeddingDimension)}.");
        }
        (_kept, _states) = (GC.AllocateArray<float>((int)(_keptPerRow * Rows), pinned: true), new (int, int)[Rows]);
        // Written once, all of the memory is there: the system would otherwise hand it out page by page, in the middle of steps.
        Array.Clear(_kept);
        Array.Clear(_states);
    }

    public override Tensor Look(Tensor rows)
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

        long size = (long)_rows.Count * Dimension;
        if (size > Array.MaxLength)
        {
            throw new InvalidOperationException(Invariant($"A batch looks up {_rows.Count:N0} rows of {Dimension} weights in one table, more than an array holds. ")
                + $"Lower {nameof(CtrTrainerOptions.BatchSize)} or {nameof(CtrTrainerOptions.EmbeddingDimension)}.");
        }
        if (_weights.Length < size)
        {
            Array.Resize(ref _weights, (int)Math.Min(Math.Max(size, 2L * _weights.Length), Array.MaxLength));
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
        looked = looked.to(Table.Weight.device).requires_grad_(true);
        _lookups.Add((places, looked));
        GC.KeepAlive(wanted);
        return looked;
    }

    public override void CollectGradients()
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

    public override Tensor SquaredNorm()
    {
        fixed (float* gradients = _gradients)
            return tensor(SmallMatrix.SumOfSquares(gradients, _rows.Count * Dimension), float64, Table.Weight.device);
    }

    public override void Update(double scale)
    {
        ReadOnlySpan<long> rows = CollectionsMarshal.AsSpan(_rows);
        fixed (float* weights = _weights, gradients = _gradients, kept = _kept)
        {
            for (int place = 0; place < rows.Length; place++)
            {
                PrefetchAhead(rows, place, kept, _keptPerRow);
                int first = place * Dimension;
                _rule.Update(gradients + first, scale, weights + first, kept + rows[place] * _keptPerRow, Dimension);
                _states[rows[place]] = (_rule.Step, 0);
            }
        }
        _gradients.AsSpan(0, rows.Length * Dimension).Clear();
        Put(rows, _weights.AsSpan(0, rows.Length * Dimension));
        _rows.Clear();
    }

    public override void Complete(bool fillUnseenRows)
    {
        ForEachPart(state => state.LastStep > 0 && state.LastStep < _rule.Step, (rows, weights) =>
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

    public override void Carry(StateStream stream)
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
                if (lastStep == _rule.Step)
                    continue;
                float* row = weights + place * Dimension;
                SmallMatrix.CopyScaled(row, (float)_rule.KeptBetween(lastStep, _rule.Step), row, Dimension);
                // Nothing but decay happens to a row before its first gradient.
                if (lastStep > 0)
                    _rule.CatchUp(lastStep, row, kept + rows[place] * _keptPerRow, Dimension);
                lastStep = _rule.Step;
            }
        }
    }

    private void Take(ReadOnlySpan<long> rows, Span<float> weights)
    {
        if (TensorMemory.IsDirect(Table.Weight))
        {
            fixed (float* taken = weights)
                CopyRows(rows, TensorMemory.Floats(Table.Weight), taken, areTaken: true);
            return;
        }
        if (rows.IsEmpty)
            return;
        using IDisposable noGradient = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor found = Table.Weight.index_select(0, tensor(rows.ToArray(), device: Table.Weight.device)).cpu();
        MemoryMarshal.Cast<byte, float>(found.bytes).CopyTo(weights);
    }

    private void Put(ReadOnlySpan<long> rows, ReadOnlySpan<float> weights)
    {
        if (TensorMemory.IsDirect(Table.Weight))
        {
            fixed (float* put = weights)
                CopyRows(rows, TensorMemory.Floats(Table.Weight), put, areTaken: false);
            return;
        }
        if (rows.IsEmpty)
            return;
        using IDisposable noGradient = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Device device = Table.Weight.device;
        Tensor values = tensor(weights.ToArray(), device: device).reshape(rows.Length, Dimension);
        Table.Weight.index_copy_(0, tensor(rows.ToArray(), device: device), values);
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
