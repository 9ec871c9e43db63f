using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// Which keys training batches have contained: one byte for each row of the tables in which keys have rows of their own. The other rows hold
/// nothing but their random initial values.
/// </summary>
internal sealed class SeenKeys(SparseCtrNetwork network) : IDisposable
{
    private const long ElementsPerPart = 1 << 22;

    private readonly Tensor?[] _seen = network.Tables
        .Select(table => table.DirectTable is Parameter weights ? zeros(weights.shape[0], ScalarType.Bool, weights.device) : null).ToArray();

    public void Mark(PackedBatch batch)
    {
        foreach ((Tensor? seen, Tensor keys) in _seen.Zip(batch.Keys))
            seen?.index_fill_(0, keys, true);
    }

    /// <summary>
    /// Gives the rows of keys never seen the weights of the missing key's, so that an unseen id is scored as a missing one. Where no key was
    /// missing either, all these rows get the mean of those seen.
    /// </summary>
    public void ClearUnseenRows()
    {
        using IDisposable noGradient = no_grad();
        foreach ((Tensor? seen, IdEmbedding table) in _seen.Zip(network.Tables))
        {
            if (seen is null)
                continue;
            using var scope = NewDisposeScope();
            Parameter weights = table.DirectTable!;
            Tensor unseenRow = seen[0].item<bool>() ? weights.narrow(0, 0, 1) : MeanOfSeen(seen, weights);
            ForEachPart(seen, weights, (isSeen, rows) => rows.copy_(where(isSeen, rows, unseenRow)));
        }
    }

    private static Tensor MeanOfSeen(Tensor seen, Tensor weights)
    {
        Tensor sum = zeros_like(weights.narrow(0, 0, 1));
        ForEachPart(seen, weights, (isSeen, rows) => sum.add_((rows * isSeen.to(rows.dtype)).sum([0], keepdim: true)));
        return sum / Math.Max(1, seen.sum(ScalarType.Int64).item<long>());
    }

    /// <summary>In parts, because what is computed makes copies.</summary>
    private static void ForEachPart(Tensor seen, Tensor weights, Action<Tensor, Tensor> action)
    {
        long rows = weights.shape[0], rowsPerPart = Math.Max(1, ElementsPerPart / weights.shape[1]);
        for (long start = 0; start < rows; start += rowsPerPart)
        {
            using var scope = NewDisposeScope();
            long count = Math.Min(rowsPerPart, rows - start);
            action(seen.narrow(0, start, count).unsqueeze(1), weights.narrow(0, start, count));
        }
    }

    public void Dispose()
    {
        foreach (Tensor? seen in _seen)
            seen?.Dispose();
    }
}
