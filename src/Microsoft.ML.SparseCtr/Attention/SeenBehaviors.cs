using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>Which behaviors of a packed batch each candidate attends to, as a table of [candidates, columns]; where a candidate has fewer, the rest is none.</summary>
internal sealed class SeenBehaviors
{
    /// <summary>In the table, and in what is made of it: no behavior.</summary>
    public const int None = -1;

    private readonly int[] _behaviors;
    private readonly int _columns;

    /// <param name="candidates">Candidates of the batch.</param>
    /// <param name="columns">Behaviors that any of them sees, at most.</param>
    public SeenBehaviors(int candidates, int columns)
    {
        (_behaviors, _columns) = (new int[candidates * columns], columns);
        Array.Fill(_behaviors, None);
    }

    /// <summary>The row of a candidate.</summary>
    public Span<int> Of(int candidate) => _behaviors.AsSpan(candidate * _columns, _columns);

    /// <summary>The latest behaviors of each candidate's past, so many at most.</summary>
    public static SeenBehaviors Latest(Interval[] pasts, int count)
    {
        var latest = new SeenBehaviors(pasts.Length, Math.Min(count, pasts.Max(past => past.Count)));
        for (int candidate = 0; candidate < pasts.Length; candidate++)
        {
            Interval seen = pasts[candidate].Last(count);
            for (int i = 0; i < seen.Count; i++)
                latest.Of(candidate)[i] = seen.From + i;
        }
        return latest;
    }

    /// <summary>Numbers anew the behaviors that some tables have, table after table, so that tokens need to be made of these alone.</summary>
    /// <param name="behaviorCount">Behaviors of the batch.</param>
    /// <param name="device">Where the tensors go.</param>
    /// <param name="tables">The tables.</param>
    /// <returns>
    /// [n] the behaviors in the order of their new numbers; and for each table, the new numbers, or <see cref="None"/>: [candidates · columns], and how many of the
    /// behaviors, the first ones, it and those before it have.
    /// </returns>
    public static (Tensor Behaviors, (long[] Places, int Count)[] Tables) Renumber(int behaviorCount, Device device, params SeenBehaviors[] tables)
    {
        var place = new long[behaviorCount];
        var behaviors = new List<long>();
        (long[], int)[] renumbered = tables.Select(table =>
        {
            foreach (int behavior in table._behaviors)
            {
                if (behavior != None && place[behavior] == 0)
                {
                    behaviors.Add(behavior);
                    place[behavior] = behaviors.Count;
                }
            }
            return (table._behaviors.Select(behavior => behavior == None ? None : place[behavior] - 1).ToArray(), behaviors.Count);
        }).ToArray();
        return (tensor(behaviors.ToArray(), device: device), renumbered);
    }
}
