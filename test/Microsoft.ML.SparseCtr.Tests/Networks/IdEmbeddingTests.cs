using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr.Tests;

public class IdEmbeddingTests
{
    [Fact]
    public void As_many_keys_as_the_maximum_have_rows_of_their_own()
    {
        using var direct = new IdEmbedding(new KeyField("Action", null, "HistoryAction", 8, MaximumTableRows: 8), 3);
        Assert.Equal([10, 3], direct.DirectTable!.Weight.shape);

        using Tensor embedded = direct.forward(tensor(new long[] { 0, 8, 9 }));
        Assert.Equal(Values(direct.DirectTable.Weight[tensor(new long[] { 0, 8, 9 })]), Values(embedded));
    }

    [Fact]
    public void A_key_more_than_the_maximum_makes_two_tables_of_that_many_rows_and_those_of_the_special_values()
    {
        var field = new KeyField("Action", null, "HistoryAction", 9, MaximumTableRows: 8);
        using var hashed = new IdEmbedding(field, 3);
        Assert.Null(hashed.DirectTable);
        Assert.All(hashed.state_dict().Values, table => Assert.Equal([10, 3], table.shape));
        Assert.Equal(20, field.TotalRows);
    }

    [Theory]
    [InlineData(100, 3)]
    [InlineData(10_000_000, 100_000)]
    [InlineData(int.MaxValue - 2, 1_000)]
    public void A_hashed_key_is_embedded_by_the_rows_that_the_formula_gives(int keys, int rows)
    {
        using var hashed = new IdEmbedding(new KeyField("Item", "Item", "HistoryItem", keys, rows), 2);
        NumberRows(hashed);
        var random = new Random(1);
        long[] some = [1, 2, 3, keys - 1, keys, .. Enumerable.Range(0, 1_000).Select(_ => random.NextInt64(1, keys + 1L))];

        IEnumerable<float> expected = some.SelectMany(key => new[] { Row(key, 742_938_285, 314_159_265), Row(key, 950_706_376, 271_828_182) });
        Assert.Equal(expected, Values(hashed.forward(tensor(some))));

        float Row(Int128 key, long a, long b) => (float)((a * key + b) % int.MaxValue % rows + 1);
    }

    [Fact]
    public void No_hashed_key_has_a_row_of_the_missing_key_or_of_the_candidates_value()
    {
        var field = new KeyField("Action", null, "HistoryAction", 1_000, MaximumTableRows: 4);
        using var hashed = new IdEmbedding(field, 2);
        NumberRows(hashed);
        Assert.All(Values(hashed.forward(arange(1, 1_001))), row => Assert.InRange(row, 1, 4));
        Assert.Equal([0, 0, 5, 5], Values(hashed.forward(tensor(new long[] { 0, field.CandidateKey }))));
    }

    [Fact]
    public void Two_tables_tell_apart_many_times_as_many_keys_as_they_have_rows()
    {
        using var hashed = new IdEmbedding(new KeyField("Item", "Item", "HistoryItem", 100_000, MaximumTableRows: 1_000), 2);
        NumberRows(hashed);
        int pairs = Values(hashed.forward(arange(1, 100_001))).Chunk(2).Select(pair => (pair[0], pair[1])).Distinct().Count();
        Assert.InRange(pairs, 90_000, 100_000);
    }

    /// <summary>Fills the tables so that an embedding of dimension 2 is the numbers of its two rows.</summary>
    private static void NumberRows(IdEmbedding hashed)
    {
        using IDisposable noGradient = no_grad();
        foreach ((string name, Tensor table) in hashed.state_dict())
        {
            Tensor numbers = arange(0, table.shape[0], ScalarType.Float32), ones = ones_like(numbers);
            table.copy_(name.StartsWith("table", StringComparison.Ordinal) ? stack([numbers, ones], 1) : stack([ones, numbers], 1));
        }
    }

    private static float[] Values(Tensor tensor) => tensor.detach().data<float>().ToArray();
}
