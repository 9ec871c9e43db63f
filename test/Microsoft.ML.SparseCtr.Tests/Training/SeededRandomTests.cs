namespace Microsoft.ML.SparseCtr.Tests;

public class SeededRandomTests
{
    private static readonly int[] s_seeds = [0, 1, -1, 42, 161803398, int.MaxValue, int.MinValue, int.MinValue + 1, .. Enumerable.Range(1, 200).Select(i => i * 7_919_317)];

    [Fact]
    public void It_draws_what_Random_draws_with_the_same_seed()
    {
        foreach (int seed in s_seeds)
            Assert.Equal(Draws(new Random(seed)), Draws(new SeededRandom(seed)));
    }

    [Fact]
    public void With_its_state_another_one_goes_on_where_it_was()
    {
        var random = new SeededRandom(7);
        for (int drawn = 0; drawn < 200; drawn++)
        {
            int[] state = random.State;
            int next = random.Next();
            Assert.Equal(next, new SeededRandom(state).Next());
        }
        var restored = new SeededRandom(random.State);
        Assert.Equal(Draws(random), Draws(restored));
    }

    /// <summary>By every method, a few hundred times and in turns.</summary>
    private static List<object> Draws(Random random)
    {
        var drawn = new List<object>();
        for (int i = 0; i < 40; i++)
        {
            byte[] bytes = new byte[5], otherBytes = new byte[3];
            random.NextBytes(bytes);
            random.NextBytes(otherBytes.AsSpan());
            int[] shuffled = Enumerable.Range(0, 10).ToArray();
            random.Shuffle(shuffled);
            drawn.AddRange([random.Next(), random.Next(1 + i), random.Next(-i, i), random.Next(int.MinValue, int.MaxValue), random.Next(-2, int.MaxValue), random.NextDouble(),
                random.NextSingle(), random.NextInt64(), random.NextInt64(1 + i), random.NextInt64(-i, long.MaxValue), .. bytes, .. otherBytes, .. shuffled,
                .. random.GetItems(shuffled, 4), random.GetHexString(3)]);
        }
        return drawn;
    }
}
