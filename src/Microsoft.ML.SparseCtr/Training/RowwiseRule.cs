using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>How rows of embeddings are updated, and what is known of the steps so far. It is one for all tables of a network.</summary>
/// <param name="weightDecay">Decay of the weights, decoupled from their gradients.</param>
internal abstract unsafe class RowwiseRule(double weightDecay) : IDisposable
{
    /// <summary>Beyond this many steps what is left of a row's momentum is below the precision of a Single.</summary>
    public const int LongestMomentum = 150;

    // Of every step so far: what it keeps of a weight, the logarithm of what all steps up to it keep, and the move of the longest momentum that ends in it.
    private readonly List<double> _keeps = [1], _logKept = [0], _longestMoves = [0];

    private StepsOnGpu? _stepsOnGpu;

    /// <summary>Steps so far.</summary>
    public int Step => _keeps.Count - 1;

    /// <summary>What the current step's decay leaves of a weight.</summary>
    public double Keep => _keeps[Step];

    /// <summary>The rule's name in RowwiseUpdate.cu.</summary>
    public abstract string KernelName { get; }

    /// <summary>β₁ and β₂ of rules with momentum.</summary>
    public virtual (double Beta1, double Beta2) Betas => default;

    /// <summary>The current step's learning rate and ε, as <see cref="Update"/> uses them.</summary>
    public abstract (double Rate, double Epsilon) Current { get; }

    /// <summary>How many numbers are kept of each row.</summary>
    public abstract int KeptPerRow(int dimension);

    /// <summary>Begins a step.</summary>
    public void BeginStep(double learningRate)
    {
        double keep = 1 - learningRate * weightDecay;
        _keeps.Add(keep);
        _logKept.Add(_logKept[^1] + Math.Log(keep));
        Begin(learningRate);
        _longestMoves.Add(Step < LongestMomentum ? 0 : MoveOf(LongestMomentum));
    }

    protected abstract void Begin(double learningRate);

    /// <summary>Updates a row in the current step.</summary>
    /// <param name="gradients">The sums of its gradients.</param>
    /// <param name="scale">What these are multiplied by, as clipping wants it.</param>
    /// <param name="weights">The row's weights.</param>
    /// <param name="kept">What is kept of the row.</param>
    /// <param name="dimension">How many weights it has.</param>
    public abstract void Update(float* gradients, double scale, float* weights, float* kept, int dimension);

    /// <summary>Does to a row, but for its decay, what the steps after one that updated it do without gradients: nothing where there is no momentum.</summary>
    public virtual void CatchUp(int lastStep, float* weights, float* kept, int dimension)
    {
    }

    /// <summary>What decay left of a weight in the steps after one, up to another.</summary>
    public double KeptBetween(int step, int later) => Math.Exp(_logKept[later] - _logKept[step]);

    /// <summary>What decay left of a weight in one step.</summary>
    protected double KeptIn(int step) => _keeps[step];

    /// <summary>For the last steps, as many as the longest momentum or fewer, how far they move a weight, times √v/m.</summary>
    protected virtual double MoveOf(int steps) => 0;

    /// <summary>
    /// What the steps after one, up to now, do without gradients: w ← keep·w − move·m/√v, m ← keep₁·m, v ← keep₂·v, of which this is the move, keep₁ and keep₂.
    /// </summary>
    protected virtual (float Move, float Keep1, float Keep2) MomentumSince(int lastStep) => default;

    /// <summary>Of a step that the longest momentum ended in, the move of that.</summary>
    protected double LongestMoveUpTo(int step) => _longestMoves[step];

    /// <summary>What is known of the steps, where kernels find it.</summary>
    public (Tensor Recent, Tensor All) StepsOn(Device device) => (_stepsOnGpu ??= new StepsOnGpu(device)).UpToNow(this);

    public void Dispose() => _stepsOnGpu?.Dispose();

    /// <summary>A copy of what is known of steps, to which each step adds a few bytes.</summary>
    private sealed class StepsOnGpu(Device device) : IDisposable
    {
        private const int NumbersOfStep = 2, NumbersOfRecent = 4;

        // Of steps without gradients, from none to the longest momentum: keep, move, keep1 and keep2. Of every step, the logarithm of what is kept, and the longest move.
        private readonly Tensor _recent = zeros(LongestMomentum + 1, NumbersOfRecent, float32, device).DetachFromDisposeScope();
        private Tensor _all = zeros(1024, NumbersOfStep, float64, device).DetachFromDisposeScope();
        private int _count;

        public (Tensor Recent, Tensor All) UpToNow(RowwiseRule rule)
        {
            if (_count <= rule.Step)
            {
                using DisposeScope scope = NewDisposeScope();
                // Without waiting for the GPU: what is not pinned, CUDA has set aside when a copy returns.
                CopyRecent(rule);
                CopyNew(rule);
            }
            return (_recent, _all);
        }

        private void CopyRecent(RowwiseRule rule)
        {
            int longest = Math.Min(rule.Step, LongestMomentum);
            var recent = new float[longest + 1, NumbersOfRecent];
            for (int missed = 0; missed <= longest; missed++)
            {
                (float move, float keep1, float keep2) = rule.MomentumSince(rule.Step - missed);
                (recent[missed, 0], recent[missed, 1], recent[missed, 2], recent[missed, 3]) = ((float)rule.KeptBetween(rule.Step - missed, rule.Step), move, keep1, keep2);
            }
            _recent.narrow(0, 0, longest + 1).copy_(tensor(recent), nonBlocking: true);
        }

        private void CopyNew(RowwiseRule rule)
        {
            int count = rule.Step + 1;
            if (count > _all.shape[0])
            {
                Tensor larger = zeros(2 * count, NumbersOfStep, float64, device).DetachFromDisposeScope();
                _all.Dispose();
                (_all, _count) = (larger, 0);
            }
            var added = new double[count - _count, NumbersOfStep];
            for (int i = 0; i < count - _count; i++)
                (added[i, 0], added[i, 1]) = (rule._logKept[_count + i], rule._longestMoves[_count + i]);
            _all.narrow(0, _count, count - _count).copy_(tensor(added), nonBlocking: true);
            _count = count;
        }

        public void Dispose()
        {
            _recent.Dispose();
            _all.Dispose();
        }
    }
}
