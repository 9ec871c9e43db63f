using Microsoft.ML.SearchSpace;

namespace Microsoft.ML.AutoML;

/// <summary>
/// FLOW2 (Wu et al., Frugal Optimization for Cost-related Hyperparameters, AAAI 2021): from the defaults, steps in random directions and
/// against them. The steps get smaller where none leads to a smaller loss; where they have become too small, the search starts anew at
/// random.
/// </summary>
internal sealed class CostFrugalTuner : ITuner
{
    private const double SmallestStep = 0.0001;

    private readonly SearchSpace.SearchSpace _space;
    private readonly Random _random;
    private readonly Dictionary<int, double[]> _proposed = []; // by trial
    private readonly int _dimension;
    private double[] _start;     // to be tried next; null while the search goes on
    private double[] _incumbent; // the best point since the start
    private double[] _opposite;  // the step against the last one; null once it has been tried
    private double _loss;
    private double _step;
    private int _failures;

    public CostFrugalTuner(SearchSpace.SearchSpace space, int? seed)
    {
        _space = space;
        _random = seed is { } value ? new Random(value) : new Random();
        _dimension = space.FeatureSpaceDim;
        Start(space.Default);
    }

    public Parameter Propose(TrialSettings settings)
    {
        double[] point = _start;
        if (point is null)
        {
            double[] step = _opposite ?? RandomStep();
            _opposite = _opposite is null ? [.. step.Select(x => -x)] : null;
            point = [.. _incumbent.Zip(step, (x, dx) => Math.Clamp(x + dx, 0, 0.99999999))];
        }
        _proposed[settings.TrialId] = point;
        return _space.SampleFromFeatureSpace(point);
    }

    public void Update(TrialResult result)
    {
        if (!_proposed.Remove(result.TrialSettings.TrialId, out var point))
            return;
        _start = null;
        _incumbent ??= point;
        if (result.Loss < _loss)
        {
            (_incumbent, _loss, _opposite, _failures) = (point, result.Loss, null, 0);
        }
        else if (++_failures >= 2 * _dimension)
        {
            _failures = 0;
            _step /= 2;
            if (_step < SmallestStep)
                Start([.. _incumbent.Select(_ => _random.NextDouble())]);
        }
    }

    private void Start(double[] point) =>
        (_start, _incumbent, _opposite, _loss, _step, _failures) = (point, null, null, double.MaxValue, 0.1 * Math.Sqrt(_dimension), 0);

    private double[] RandomStep()
    {
        double[] direction = [.. _incumbent.Select(_ => Normal())];
        double length = Math.Sqrt(direction.Sum(x => x * x));
        return [.. direction.Select(x => _step * x / length)];
    }

    private double Normal() => Math.Sqrt(-2 * Math.Log(1 - _random.NextDouble())) * Math.Cos(Math.Tau * _random.NextDouble());
}
