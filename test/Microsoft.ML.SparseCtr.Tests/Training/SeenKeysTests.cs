using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr.Tests;

public class SeenKeysTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Keys_never_seen_get_the_missing_keys_row_or_where_none_was_missing_the_mean_of_those_seen(bool missingWasSeen)
    {
        using SparseCtrNetwork network = TestRequests.Network(TestRequests.Config);
        using var seen = new SeenKeys(network);
        Request request = TestRequests.Request(events: 2, candidates: 1);
        (request.HistoryKeys[0][0], request.HistoryKeys[0][1], request.Impressions[0].SequenceKeys[0]) = (2, 4, missingWasSeen ? 0 : 4);
        double[][] before = Rows(network);

        seen.Mark(PackedBatch.Create([request], TestRequests.Config, CPU, float64));
        seen.ClearUnseenRows();

        double[] expected = missingWasSeen ? before[0] : before[2].Zip(before[4], (left, right) => (left + right) / 2).ToArray();
        Assert.All(Rows(network).Select((row, key) => (row, key)), one => Assert.Equal(one.key is 2 or 4 ? before[one.key] : expected, one.row, (left, right) => Math.Abs(left - right) < 1e-12));
    }

    /// <summary>The item's embeddings.</summary>
    private static double[][] Rows(SparseCtrNetwork network)
    {
        Tensor table = network.Tables.First().DirectTable!.detach();
        return table.data<double>().ToArray().Chunk((int)table.shape[1]).ToArray();
    }
}
