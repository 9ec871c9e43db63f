namespace Microsoft.ML.SparseCtr.Tests;

public class UserStateCacheTests
{
    private static readonly CtrScorer s_scorer = RandomScorer.Of(TestRequests.Networks["Eta"]);

    private static UserState NewState() => s_scorer.Encode(RandomScorer.History(TestRequests.Request(100, 0)));

    /// <summary>Bytes of a state and what is counted beside it.</summary>
    private static readonly long s_size = NewState().ByteSize + 302;

    [Fact]
    public void A_state_is_made_once_and_found_again()
    {
        var cache = new UserStateCache(10 * s_size);
        UserState first = cache.Use("a", NewState, state => state);
        Assert.Same(first, cache.Use("a", () => throw new InvalidOperationException("there is one"), state => state));
        Assert.Equal((1, s_size, 0L), (cache.Count, cache.ByteSize, cache.Evictions));
    }

    [Fact]
    public void Who_was_not_seen_for_longest_is_forgotten_first()
    {
        var cache = new UserStateCache(3 * s_size);
        foreach (string user in new[] { "a", "b", "c", "a", "d" })
            cache.Use(user, NewState, _ => true);
        Assert.Equal(1, cache.Evictions);
        Assert.Equal([true, false, true, true], new[] { "a", "b", "c", "d" }.Select(cache.Remove));
    }

    [Fact]
    public void A_state_that_grows_makes_others_go()
    {
        var cache = new UserStateCache(3 * s_size);
        cache.Use("a", NewState, _ => true);
        cache.Use("b", NewState, _ => true);
        cache.Use("b", NewState, state =>
        {
            s_scorer.Append(state, new CtrHistory(Enumerable.Repeat((long)TestRequests.Now, 200).ToArray(), new int[200], new int[200], new int[200]));
            return true;
        });
        Assert.Equal((1, 1L), (cache.Count, cache.Evictions));
        Assert.Equal(300, cache.Use("b", NewState, state => state.Count));
    }

    [Fact]
    public void What_fails_to_be_made_leaves_nothing()
    {
        var cache = new UserStateCache(s_size);
        Assert.Throws<FormatException>(() => cache.Use("a", () => throw new FormatException(), state => state));
        Assert.Equal((0, 0L), (cache.Count, cache.ByteSize));
        Assert.False(cache.Remove("a"));
    }

    [Fact]
    public async Task One_call_at_a_time_uses_a_users_state_and_none_is_lost()
    {
        var cache = new UserStateCache(3 * s_size);
        int[] events = new int[8], uses = new int[8];
        await Task.WhenAll(Enumerable.Range(0, 4).Select(thread => Task.Run(() =>
        {
            var random = new Random(thread);
            for (int i = 0; i < 500; i++)
            {
                int user = random.Next(8);
                cache.Use($"{user}", NewState, _ =>
                {
                    Assert.Equal(1, Interlocked.Increment(ref uses[user]));
                    Interlocked.Increment(ref events[user]);
                    Interlocked.Decrement(ref uses[user]);
                    return true;
                });
            }
        })));
        Assert.Equal(2_000, events.Sum());
        Assert.Equal((3, 3 * s_size), (cache.Count, cache.ByteSize));
    }

    [Fact]
    public void It_needs_room()
        => Assert.Throws<ArgumentOutOfRangeException>(() => new UserStateCache(0));
}
