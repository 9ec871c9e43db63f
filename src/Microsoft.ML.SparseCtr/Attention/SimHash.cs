using System.Numerics;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// Fingerprints of embeddings, by the signs of random projections (Charikar, 2002), as ETA retrieves events by them (arXiv:2108.04468): two of
/// them differ in each bit with a probability of angle/π, so that events near in Hamming distance are near in direction.
/// </summary>
/// <remarks>
/// Bit b is whether e·R_b &gt; 0, in the (b mod 64)-th lowest bit of word b/64; where the product is not a number it is 0. A product is summed in
/// the same order in vectors of any width and beside any other rows. Whether it is rounded once or twice per term is the hardware's choice, so a
/// bit whose product is nearly zero may differ from one processor to another.
/// </remarks>
/// <param name="dimension">Of an embedding.</param>
/// <param name="words">Of 64 bits in a fingerprint.</param>
/// <param name="seed">Of R.</param>
internal sealed unsafe class SimHash(int dimension, int words, ulong seed)
{
    public const int WordBits = 64;

    private readonly float[] _projections = RandomProjections(dimension * words * WordBits, seed);

    public int Words => words;

    /// <summary>R: for each component of an embedding, its factor for each bit.</summary>
    public ReadOnlySpan<float> Projections => _projections;

    /// <summary>Computes the fingerprints of any number of embeddings.</summary>
    /// <param name="embeddings">[rows, dimension].</param>
    /// <param name="fingerprints">Receives [rows, words].</param>
    public void Fingerprint(ReadOnlySpan<float> embeddings, Span<ulong> fingerprints)
    {
        int rows = embeddings.Length / dimension;
        float* products = stackalloc float[SmallMatrix.RowBlock * WordBits];
        fixed (float* embedding = embeddings, projections = _projections)
        {
            for (int row = 0, together; row < rows; row += together)
            {
                // Rows that do not fill a block go one by one, as a block that repeats the row.
                together = row + SmallMatrix.RowBlock <= rows ? SmallMatrix.RowBlock : 1;
                int toNextRow = together == 1 ? 0 : dimension;
                for (int word = 0; word < words; word++)
                {
                    new Span<float>(products, SmallMatrix.RowBlock * WordBits).Clear();
                    SmallMatrix.MultiplyAdd(SmallMatrix.RowBlock, dimension, WordBits, embedding + (nint)row * dimension, toNextRow, 1,
                        projections + word * WordBits, words * WordBits, products, WordBits);
                    for (int i = 0; i < together; i++)
                        fingerprints[(row + i) * words + word] = PositiveBits(products + i * WordBits);
                }
            }
        }
    }

    private static ulong PositiveBits(float* products)
    {
        ulong bits = 0;
        for (int i = 0; i < WordBits; i += Vector256<float>.Count)
            bits |= (ulong)Vector256.GreaterThan(Vector256.Load(products + i), Vector256<float>.Zero).ExtractMostSignificantBits() << i;
        return bits;
    }

    /// <summary>
    /// Numbers of a nearly normal distribution: how many more than half of the bits are set in each number of splitmix64 (Steele et al., 2014). R is
    /// part of a model, so neither .NET's generator nor its logarithms, which may change, have a share in it.
    /// </summary>
    private static float[] RandomProjections(int count, ulong seed)
    {
        var projections = new float[count];
        foreach (ref float projection in projections.AsSpan())
        {
            ulong mixed = seed += 0x9E37_79B9_7F4A_7C15;
            mixed = (mixed ^ (mixed >> 30)) * 0xBF58_476D_1CE4_E5B9;
            mixed = (mixed ^ (mixed >> 27)) * 0x94D0_49BB_1331_11EB;
            projection = BitOperations.PopCount(mixed ^ (mixed >> 31)) - 32;
        }
        return projections;
    }
}
