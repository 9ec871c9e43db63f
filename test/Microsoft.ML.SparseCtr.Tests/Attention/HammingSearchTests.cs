using System.Numerics;
using FsCheck;
using FsCheck.Fluent;

namespace Microsoft.ML.SparseCtr.Tests;

public class HammingSearchTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void The_nearest_are_those_of_sorting_by_distance_and_then_by_recency(int words)
    {
        const int k = 48;
        foreach (int events in new[] { 0, 1, 3, 4, 5, k - 1, k, k + 1, 10_000 })
            foreach (int values in new[] { 1, 2, 7, int.MaxValue })
                AssertNearest(words, events, values, k, seed: events);
    }

    [Fact]
    public void Any_numbers_of_words_events_values_and_wanted_give_what_sorting_gives()
        => Check.One(Config.QuickThrowOnFailure.WithMaxTest(300), Prop.ForAll(
            Gen.Choose(1, 16).Two().ToArbitrary(), Gen.Choose(0, 200).Two().ToArbitrary(), ArbMap.Default.ArbFor<int>(),
            (wordsAndValues, eventsAndWanted, seed)
                => AssertNearest(wordsAndValues.Item1, eventsAndWanted.Item1, wordsAndValues.Item2, eventsAndWanted.Item2, seed)));

    [Fact]
    public void Of_equal_events_the_latest_are_found()
        => Assert.Equal(Enumerable.Range(952, 48), Nearest([5], Enumerable.Repeat(9ul, 1_000).ToArray(), 48));

    [Fact]
    public void Nearer_events_are_found_whether_they_are_the_older_or_the_newer()
    {
        ulong[] events = Enumerable.Range(0, 6_400).Select(i => ulong.MaxValue >> (i / 100)).ToArray();
        Assert.Equal(Enumerable.Range(6_300, 100), Nearest([0], events, 100));
        Assert.Equal(Enumerable.Range(0, 100), Nearest([ulong.MaxValue], events, 100));
    }

    [Fact]
    public void Fingerprints_that_differ_in_all_of_1024_bits_are_found_last()
    {
        ulong[] candidate = new ulong[16], opposite = Enumerable.Repeat(ulong.MaxValue, 16).ToArray();
        ulong[] nearlyOpposite = [.. opposite[1..], ulong.MaxValue >> 1];
        Assert.Equal([0, 1], Nearest(candidate, [.. nearlyOpposite, .. opposite], 5));
        Assert.Equal([0, 2], Nearest(candidate, [.. nearlyOpposite, .. opposite, .. opposite], 2));
    }

    [Fact]
    public void None_is_found_where_none_is_wanted() => Assert.Empty(Nearest([1], [1, 2, 3], 0));

    [Fact]
    public void A_search_allocates_nothing_once_it_is_warm()
    {
        ulong[] events = new ulong[10_000];
        int[] places = new int[48];
        HammingSearch.Nearest([1], events, 48, places);
        long before = GC.GetAllocatedBytesForCurrentThread();
        HammingSearch.Nearest([1], events, 48, places);
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    /// <param name="values">How many different fingerprints there are at most: few of them make many ties.</param>
    private static void AssertNearest(int words, int events, int values, int k, int seed)
    {
        var random = new Random(seed);
        ulong[][] distinct = Enumerable.Range(0, Math.Min(values, events)).Select(_ => Fingerprint()).ToArray();
        ulong[][] fingerprints = Enumerable.Range(0, events).Select(i => values >= events ? distinct[i] : distinct[random.Next(values)]).ToArray();
        ulong[] candidate = Fingerprint();

        IEnumerable<int> expected = Enumerable.Range(0, events).OrderBy(Distance).ThenByDescending(place => place).Take(k).Order();
        Assert.Equal(expected, Nearest(candidate, fingerprints.SelectMany(fingerprint => fingerprint).ToArray(), k));

        ulong[] Fingerprint() => Enumerable.Range(0, words).Select(_ => (ulong)random.NextInt64() << 1 ^ (ulong)random.NextInt64()).ToArray();
        int Distance(int place) => fingerprints[place].Zip(candidate, (left, right) => BitOperations.PopCount(left ^ right)).Sum();
    }

    private static int[] Nearest(ulong[] candidate, ulong[] events, int k)
    {
        int[] places = new int[k];
        return places[..HammingSearch.Nearest(candidate, events, k, places)];
    }
}
