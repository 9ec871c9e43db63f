using System.Numerics;
using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>Trains a table on the GPU that it is on, where what is kept of its rows is too: what RowwiseUpdate.cu computes. A step waits for nothing on the CPU.</summary>
internal sealed class CudaRowwiseOptimizer : RowwiseOptimizer
{
    private const int Threads = 128, WarpSize = 32;

    /// <summary>Gradients that a group of threads adds up, one after the other: those of a row that has more are added by several, and then their sums.</summary>
    private const int Pieces = 32;

    private const int PartLength = 1 << 16;

    private readonly CudaKernels _kernels;
    private readonly CudaProgram _program;
    private readonly RowwiseRule _rule;
    private readonly int _lanes;

    // Of every row: what the rule keeps, and the step up to which it is done.
    private readonly Tensor _kept, _lastSteps;

    // Of the current step: what has been looked up since gradients were collected, all rows looked up before with their gradients, and what is made of these.
    private readonly List<(Tensor Rows, Tensor Looked)> _lookups = [];
    private readonly List<(Tensor Rows, Tensor Gradients)> _collected = [];
    private RowGradients? _gradients;

    /// <param name="kernels">The GPU's kernels.</param>
    /// <param name="table">The table, on that GPU.</param>
    /// <param name="rule">How rows are updated.</param>
    public CudaRowwiseOptimizer(CudaKernels kernels, EmbeddingTable table, RowwiseRule rule) : base(table)
    {
        (_kernels, _rule) = (kernels, rule);
        (_program, _lanes) = (ProgramFor(rule, Dimension), LanesFor(Dimension));
        _kept = zeros(Rows, rule.KeptPerRow(Dimension), float32, Device).DetachFromDisposeScope();
        _lastSteps = zeros(Rows, int32, Device).DetachFromDisposeScope();
    }

    public static CudaProgram ProgramFor(RowwiseRule rule, int dimension)
        => new("RowwiseUpdate.cu", Threads, ("RULE", rule.KernelName), ("DIMENSION", dimension), ("LANES", LanesFor(dimension)), ("PIECES", Pieces));

    private Device Device => Table.Weight.device;

    public override Tensor Look(Tensor rows)
    {
        using IDisposable noGradient = no_grad();
        // The caller may dispose of its tensor before the step ends.
        Tensor own = rows.alias().DetachFromDisposeScope();
        CatchUp(own);
        Tensor looked = Table.Weight.index_select(0, own).requires_grad_(true);
        _lookups.Add((own, looked));
        return looked;
    }

    public override void CollectGradients()
    {
        foreach ((Tensor rows, Tensor looked) in _lookups)
            _collected.Add((rows, (looked.grad ?? zeros_like(looked)).DetachFromDisposeScope()));
        _lookups.Clear();
    }

    public override Tensor SquaredNorm()
    {
        if (_collected.Count == 0)
            return zeros(1, float64, Device);
        using DisposeScope scope = NewDisposeScope();
        Parameters parameters = ParametersOf(Gradients());
        Tensor ofBlocks = empty(BlocksFor(parameters.Count), float64, Device);
        parameters.SquaredNorms = DeviceMemory.AddressOf(ofBlocks);
        Launch("sum_squares", parameters);
        return ofBlocks.sum().MoveToOuterDisposeScope();
    }

    public override void Update(double scale)
    {
        if (_collected.Count == 0)
            return;
        Launch("update", ParametersOf(Gradients()) with { Current = new(_rule.Current, _rule.Betas, _rule.Keep, scale) });
        _gradients?.Dispose();
        _gradients = null;
        ForgetCollected();
    }

    public override void Complete(bool fillUnseenRows)
    {
        using IDisposable noGradient = no_grad();
        using DisposeScope scope = NewDisposeScope();
        CatchUp(_lastSteps.gt(0).nonzero().squeeze(1));
        if (!fillUnseenRows)
            return;
        Tensor fill = _lastSteps[0].item<int>() > 0 ? Table.Weight.narrow(0, 0, 1).clone() : MeanOfSeenRows();
        Tensor unseen = _lastSteps.eq(0).nonzero().squeeze(1);
        Table.Weight.index_copy_(0, unseen, fill.expand(unseen.shape[0], Dimension));
    }

    public override void Carry(StateStream stream)
    {
        stream.Carry(_kept);
        ForEachPart((start, count) =>
        {
            Tensor part = _lastSteps.narrow(0, start, count);
            // With the places that a step in the CPU's memory gives rows, of which there are none between steps.
            (int LastStep, int Place)[] states = part.cpu().data<int>().ToArray().Select(lastStep => (lastStep, 0)).ToArray();
            stream.Carry(states.AsSpan());
            if (stream.IsReading)
                part.copy_(tensor(states.Select(state => state.LastStep).ToArray()));
        });
    }

    public override void Dispose()
    {
        _gradients?.Dispose();
        ForgetCollected();
        _kept.Dispose();
        _lastSteps.Dispose();
    }

    /// <summary>Threads that work on a row.</summary>
    private static int LanesFor(int dimension) => (int)Math.Min(WarpSize, BitOperations.RoundUpToPowerOf2((uint)dimension));

    private void ForgetCollected()
    {
        foreach ((Tensor rows, Tensor gradients) in _collected)
        {
            rows.Dispose();
            gradients.Dispose();
        }
        _collected.Clear();
    }

    /// <summary>Lets rows, each any number of times among these, do what the steps since their last update would have done.</summary>
    private void CatchUp(Tensor rows)
    {
        (Tensor recent, Tensor steps) = _rule.StepsOn(Device);
        Launch("catch_up", ParametersOf(rows) with
        {
            Recent = DeviceMemory.AddressOf(recent), Steps = DeviceMemory.AddressOf(steps), LogBeta2 = Math.Log(_rule.Betas.Beta2),
        });
    }

    /// <summary>The current step's gradients, which are added up when they are first asked for.</summary>
    private RowGradients Gradients()
    {
        if (_gradients is not null)
            return _gradients;
        using DisposeScope scope = NewDisposeScope();
        Tensor rows = cat(_collected.Select(collected => collected.Rows).ToArray()), gradients = cat(_collected.Select(collected => collected.Gradients).ToArray());
        long count = rows.shape[0];
        // Lookups of one row stay in their order, as their places are part of what is sorted.
        Tensor places = (rows * count + arange(count, int64, Device)).argsort();
        _gradients = new(rows.index_select(0, places).DetachFromDisposeScope(), places.DetachFromDisposeScope(), gradients.DetachFromDisposeScope());
        for (long piece = 1; piece < count; piece *= Pieces)
            Launch("sum_gradients", ParametersOf(_gradients) with { Piece = piece });
        return _gradients;
    }

    /// <summary>The gradients of the rows of a step.</summary>
    /// <param name="Rows">[n] the rows, in order: once for each lookup.</param>
    /// <param name="Places">[n] the places that they had in the order of lookups.</param>
    /// <param name="Sums">[n, e] at the first of a row's places the sum of its gradients; what is at the others is of no use.</param>
    private sealed record RowGradients(Tensor Rows, Tensor Places, Tensor Sums) : IDisposable
    {
        public void Dispose()
        {
            Rows.Dispose();
            Places.Dispose();
            Sums.Dispose();
        }
    }

    private Tensor MeanOfSeenRows()
    {
        Tensor sums = zeros(1, Dimension, float64, Device);
        ForEachPart((start, count) =>
        {
            Tensor isSeen = _lastSteps.narrow(0, start, count).gt(0).to(float64).unsqueeze(0);
            sums.add_(isSeen.mm(Table.Weight.narrow(0, start, count).to(float64)));
        });
        return (sums / _lastSteps.gt(0).sum().clamp_min(1)).to(float32);
    }

    /// <summary>Goes through the rows in parts.</summary>
    private void ForEachPart(Action<long, long> action)
    {
        for (long start = 0; start < Rows; start += PartLength)
        {
            using DisposeScope scope = NewDisposeScope();
            action(start, Math.Min(PartLength, Rows - start));
        }
    }

    private Parameters ParametersOf(RowGradients gradients) => ParametersOf(gradients.Rows) with
    {
        Places = DeviceMemory.AddressOf(gradients.Places), Gradients = DeviceMemory.AddressOf(gradients.Sums),
    };

    private Parameters ParametersOf(Tensor rows) => new()
    {
        Weights = DeviceMemory.AddressOf(Table.Weight),
        Kept = DeviceMemory.AddressOf(_kept),
        LastSteps = DeviceMemory.AddressOf(_lastSteps),
        Rows = DeviceMemory.AddressOf(rows),
        Count = rows.shape[0],
        Step = _rule.Step,
        LongestMomentum = RowwiseRule.LongestMomentum,
    };

    private void Launch(string kernel, in Parameters parameters)
        => _kernels.Launch(_program, kernel, ((int)BlocksFor(parameters.Count), 1, 1), parameters);

    private long BlocksFor(long lookups) => (lookups * _lanes + Threads - 1) / Threads;

    /// <summary>Rowwise, as RowwiseUpdate.cu declares it.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Parameters
    {
        public nint Weights, Kept, LastSteps, Rows, Places, Gradients, SquaredNorms;
        public long Count, Piece;
        public nint Recent, Steps;
        public int Step, LongestMomentum;
        public double LogBeta2;
        public CudaOptimizerStep Current;
    }
}
