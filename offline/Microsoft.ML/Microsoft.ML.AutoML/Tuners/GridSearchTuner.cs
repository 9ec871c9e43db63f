using Microsoft.ML.SearchSpace;

namespace Microsoft.ML.AutoML;

/// <summary>All points of a grid, over and over: all choices, and <paramref name="step"/> values of every number.</summary>
internal sealed class GridSearchTuner(SearchSpace.SearchSpace space, int step) : ITuner
{
    private int _next;

    public Parameter Propose(TrialSettings settings)
    {
        int[] steps = [.. space.Step.Select(count => count ?? step)];
        double[] point = new double[steps.Length];
        long rest = _next++;
        for (int i = point.Length - 1; i >= 0; i--)
        {
            point[i] = rest % steps[i] / (double)steps[i];
            rest /= steps[i];
        }
        return space.SampleFromFeatureSpace(point);
    }

    public void Update(TrialResult result)
    {
    }
}
