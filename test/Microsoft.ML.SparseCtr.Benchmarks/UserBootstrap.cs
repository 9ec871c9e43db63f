namespace Microsoft.ML.SparseCtr.Benchmarks;

/// <summary>
/// How sure differences of AUC are: users are drawn with replacement, again and again, and all scorings are measured on the same draws. Rows of
/// one user are not independent of each other, so that drawing rows would make too much of them. So are the trainings of each of the two that are
/// compared: another seed is as much chance as another user.
/// </summary>
internal sealed class UserBootstrap
{
    private const int Draws = 1_000;

    private readonly int[] _userOfRow;
    private readonly bool[] _labels;
    private readonly int[][] _timesDrawn;

    /// <param name="users">The user of each row.</param>
    /// <param name="labels">Its label.</param>
    public UserBootstrap(IReadOnlyList<int> users, bool[] labels)
    {
        int[] distinct = users.Distinct().ToArray();
        Dictionary<int, int> numbers = distinct.Select((user, number) => (user, number)).ToDictionary(pair => pair.user, pair => pair.number);
        (_userOfRow, _labels) = (users.Select(user => numbers[user]).ToArray(), labels);
        var random = new Random(1);
        _timesDrawn = Enumerable.Range(0, Draws).Select(_ =>
        {
            var times = new int[distinct.Length];
            for (int i = 0; i < times.Length; i++)
                times[random.Next(times.Length)]++;
            return times;
        }).ToArray();
    }

    /// <summary>The AUC of a scoring in each draw.</summary>
    public double[] Areas(float[] scores)
    {
        int[] order = Enumerable.Range(0, scores.Length).OrderBy(row => scores[row]).ToArray();
        return _timesDrawn.Select(times => Area(order, scores, times)).ToArray();
    }

    /// <summary>The middle 95% of the differences of two models' AUCs, each the mean over its trainings.</summary>
    /// <param name="areas">For each training of the one, its AUC in each draw of users.</param>
    /// <param name="others">The same of the other.</param>
    public static (double Low, double High) Interval(IReadOnlyList<double[]> areas, IReadOnlyList<double[]> others)
    {
        var random = new Random(2);
        double[] differences = Enumerable.Range(0, Draws).Select(draw => Mean(areas, draw) - Mean(others, draw)).Order().ToArray();
        return (differences[Draws / 40], differences[Draws - 1 - Draws / 40]);

        double Mean(IReadOnlyList<double[]> trainings, int draw) => trainings.Average(_ => trainings[random.Next(trainings.Count)][draw]);
    }

    private double Area(int[] order, float[] scores, int[] times)
    {
        double pairs = 0, below = 0, clicks = 0;
        for (int i = 0; i < order.Length;)
        {
            double tiedClicks = 0, tiedOthers = 0;
            float score = scores[order[i]];
            for (; i < order.Length && scores[order[i]] == score; i++)
            {
                int weight = times[_userOfRow[order[i]]];
                (tiedClicks, tiedOthers) = _labels[order[i]] ? (tiedClicks + weight, tiedOthers) : (tiedClicks, tiedOthers + weight);
            }
            pairs += tiedClicks * (below + tiedOthers / 2);
            (below, clicks) = (below + tiedOthers, clicks + tiedClicks);
        }
        return pairs / (clicks * below);
    }
}
