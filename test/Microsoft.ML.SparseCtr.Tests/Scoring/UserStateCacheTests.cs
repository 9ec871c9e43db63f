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
    public async Task One_call_at_a_time_uses_a_users_state_so_that_no_event_is_lost()
    {
        var cache = new UserStateCache(long.MaxValue);
        var using_ = new int[4];
        await Task.WhenAll(Enumerable.Range(0, 4).Select(thread => Task.Run(() =>
        {
            for (int i = 0; i < 200; i++)
            {
                int user = i % 4;
                cache.Use($"{user}", () => s_scorer.Encode(new CtrHistory([], [], [], [])), state =>
                {
                    Assert.Equal(1, Interlocked.Increment(ref using_[user]));
                    s_scorer.Append(state, new CtrHistory([TestRequests.Now], [1], [1], [1]));
                    Thread.SpinWait(2_000);
                    Interlocked.Decrement(ref using_[user]);
                });
            }
        })));
        Assert.Equal([200, 200, 200, 200], Enumerable.Range(0, 4).Select(user => cache.Use($"{user}", NewState, state => state.Count)));
    }

    [Fact]
    public async Task Who_waits_for_a_state_that_is_removed_gets_a_new_one()
    {
        var cache = new UserStateCache(long.MaxValue);
        using var isUsed = new ManualResetEventSlim();
        using var isRemoved = new ManualResetEventSlim();
        Task<UserState> first = Task.Run(() => cache.Use("a", NewState, state =>
        {
            isUsed.Set();
            isRemoved.Wait();
            return state;
        }));
        isUsed.Wait();
        Task<UserState> waiting = Task.Run(() => cache.Use("a", NewState, state => state));
        await Task.Delay(50);
        Assert.True(cache.Remove("a"));
        isRemoved.Set();
        Assert.NotSame(await first, await waiting);
        Assert.Same(await waiting, cache.Use("a", NewState, state => state));
    }

    [Fact]
    public void A_state_that_is_too_large_does_not_make_all_others_go()
    {
        var cache = new UserStateCache(3 * s_size);
        cache.Use("a", NewState, _ => true);
        cache.Use("large", () => s_scorer.Encode(RandomScorer.History(TestRequests.Request(1_000, 0))), _ => true);
        Assert.Equal((1, s_size, 1L), (cache.Count, cache.ByteSize, cache.Evictions));
    }

    [Fact]
    public void It_needs_room()
        => Assert.Throws<ArgumentOutOfRangeException>(() => new UserStateCache(0));
}
