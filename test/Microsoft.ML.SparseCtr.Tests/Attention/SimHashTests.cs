using System.Numerics;

namespace Microsoft.ML.SparseCtr.Tests;

public class SimHashTests
{
    /// <summary>A model's fingerprints are of its seed: whatever changes these changes every model. The numbers are splitmix64's published ones.</summary>
    [Fact]
    public void The_projections_of_a_seed_never_change()
    {
        ulong[] published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821];
        ReadOnlySpan<float> projections = new SimHash(2, 1, 1_234_567).Projections;
        Assert.Equal(128, projections.Length);
        Assert.Equal(published.Select(number => BitOperations.PopCount(number) - 32f), projections[..5].ToArray());
        Assert.Equal([-4f, -2f, 5f, 0f, -2f], projections[^5..].ToArray());
    }

    [Fact]
    public void The_fingerprint_of_whole_numbers_is_the_same_on_any_machine()
        => Assert.Equal([0xB441_0213_0828_57E1ul, 0xDDF8_AE1D_DEA1_D6E8ul], Fingerprints(new SimHash(5, 2, 42), [3, -1, 4, 1, -5]));

    [Theory]
    [InlineData(1, 1, 1)]
    [InlineData(3, 16, 2)]
    [InlineData(4, 7, 1)]
    [InlineData(11, 64, 3)]
    public void A_bit_says_whether_the_product_of_doubles_is_positive(int rows, int dimension, int words)
    {
        var hash = new SimHash(dimension, words, seed: 7);
        float[] embeddings = Normals(new Random(1), rows * dimension);
        ulong[] fingerprints = Fingerprints(hash, embeddings);
        int checkedBits = 0, bits = 64 * words;
        for (int i = 0; i < rows * bits; i++)
        {
            (int row, int bit) = (i / bits, i % bits);
            double product = Enumerable.Range(0, dimension).Sum(j => (double)embeddings[row * dimension + j] * hash.Projections[j * bits + bit]);
            if (Math.Abs(product) < 1e-3)
                continue;
            Assert.Equal(product > 0, (fingerprints[row * words + bit / 64] >> (bit % 64) & 1) != 0);
            checkedBits++;
        }
        Assert.True(checkedBits > 0.85 * rows * bits);
    }

    [Fact]
    public void A_row_has_the_same_fingerprint_whatever_stands_beside_it()
    {
        var hash = new SimHash(16, 2, 3);
        float[] embeddings = Normals(new Random(2), 9 * 16);
        Assert.Equal(Fingerprints(hash, embeddings), embeddings.Chunk(16).SelectMany(row => Fingerprints(hash, row)));
    }

    [Fact]
    public void No_rows_have_no_fingerprints() => Assert.Empty(Fingerprints(new SimHash(16, 2, 3), []));

    /// <summary>By powers of two, which round nothing, and by other numbers where no product is so small that rounding turns its sign.</summary>
    [Theory]
    [InlineData(1024f)]
    [InlineData(0.125f)]
    [InlineData(3.7f)]
    public void A_fingerprint_is_the_same_at_any_positive_scale(float scale)
    {
        var hash = new SimHash(16, 4, 3);
        float[] embeddings = Normals(new Random(3), 20 * 16);
        Assert.Equal(Fingerprints(hash, embeddings), Fingerprints(hash, embeddings.Select(value => scale * value).ToArray()));
    }

    [Fact]
    public void What_is_zero_or_not_a_number_sets_no_bit_and_leaves_other_rows_alone()
    {
        var hash = new SimHash(3, 1, 3);
        ulong[] fingerprints = Fingerprints(hash, [1, 2, 3, 1, float.NaN, 3, 0, 0, 0, 1, 2, 3]);
        Assert.NotEqual(0ul, fingerprints[0]);
        Assert.Equal([fingerprints[0], 0ul, 0ul, fingerprints[0]], fingerprints);
    }

    [Theory]
    [InlineData(0.1)]
    [InlineData(0.25)]
    [InlineData(0.5)]
    [InlineData(0.8)]
    public void The_share_of_bits_that_differ_is_the_angle_of_half_turns(double halfTurns)
    {
        const int dimension = 16, words = 64, pairs = 200;
        var hash = new SimHash(dimension, words, seed: 11);
        var random = new Random(4);
        double[] shares = Enumerable.Range(0, pairs).Select(_ =>
        {
            float[] from = Unit(Normals(random, dimension)), aside = Normals(random, dimension);
            float along = Dot(from, aside);
            aside = Unit(aside.Zip(from, (a, f) => a - along * f).ToArray());
            (float sin, float cos) = MathF.SinCos((float)(halfTurns * Math.PI));
            ulong[] fingerprints = Fingerprints(hash, [.. from, .. from.Zip(aside, (f, a) => cos * f + sin * a)]);
            return fingerprints[..words].Zip(fingerprints[words..], (left, right) => BitOperations.PopCount(left ^ right)).Sum() / (64.0 * words);
        }).ToArray();

        Assert.Equal(halfTurns, shares.Average(), 0.005);
        Assert.All(shares, share => Assert.Equal(halfTurns, share, 0.04));
    }

    private static ulong[] Fingerprints(SimHash hash, float[] embeddings)
    {
        int dimension = hash.Projections.Length / (64 * hash.Words);
        ulong[] fingerprints = new ulong[embeddings.Length / dimension * hash.Words];
        hash.Fingerprint(embeddings, fingerprints);
        return fingerprints;
    }

    private static float[] Normals(Random random, int count)
        => Enumerable.Range(0, count)
            .Select(_ => (float)(Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()))).ToArray();

    private static float Dot(float[] left, float[] right) => left.Zip(right, (a, b) => a * b).Sum();

    private static float[] Unit(float[] vector) => vector.Select(value => value / MathF.Sqrt(Dot(vector, vector))).ToArray();
}
