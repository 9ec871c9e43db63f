using System.Runtime.CompilerServices;

namespace Microsoft.ML.SparseCtr.Tests;

public class RequestStreamsTests
{
    [Fact]
    public void A_sequence_on_its_own_thread_comes_in_its_order_and_runs_no_further_ahead_than_it_may()
    {
        const int ahead = 3;
        int made = 0, read = 0;
        IEnumerable<int> Numbers()
        {
            for (; made < 1_000; made++)
                yield return made;
        }
        foreach (int number in Numbers().OnItsOwnThread(ahead))
        {
            Assert.Equal(read++, number);
            // One more is in the hands of the producer, and one in ours.
            Assert.InRange(Volatile.Read(ref made), number, number + ahead + 2);
        }
        Assert.Equal(1_000, read);
    }

    [Fact]
    public void What_a_sequence_throws_on_its_own_thread_comes_out_where_it_is_read_after_what_came_before()
    {
        static IEnumerable<int> Failing()
        {
            yield return 1;
            throw new FormatException("row 2");
        }
        using IEnumerator<int> numbers = Failing().OnItsOwnThread(5).GetEnumerator();
        Assert.True(numbers.MoveNext());
        Assert.Equal("row 2", Assert.Throws<FormatException>(() => numbers.MoveNext()).Message);
    }

    [Fact]
    public void A_sequence_that_is_no_longer_read_ends_before_its_reader_goes_on()
    {
        bool ended = false;
        IEnumerable<int> Endless()
        {
            try
            {
                while (true)
                    yield return 0;
            }
            finally
            {
                ended = true;
            }
        }
        Assert.Equal(0, Endless().OnItsOwnThread(2).First());
        Assert.True(ended);
    }

    [Fact]
    public void What_a_sequence_has_made_and_no_one_reads_any_more_is_handed_back()
    {
        int made = 0;
        IEnumerable<int> Numbers()
        {
            while (true)
                yield return made++;
        }
        var unread = new List<int>();
        int[] read = [.. Numbers().OnItsOwnThread(2, unread.Add).Take(3)];
        Assert.Equal(Enumerable.Range(0, made), read.Concat(unread.Order()));
    }

    [Fact]
    public void Passes_keep_the_order_and_hold_no_more_tokens_than_one_pass_but_for_a_single_large_request()
    {
        Request[] requests = [.. Enumerable.Range(0, 40).Select(i => TestRequests.Request(events: i % 7 * 1_000, candidates: 1, seed: i)), TestRequests.Request(20_000, 2)];
        List<Request>[] passes = requests.InPasses().ToArray();
        Assert.Equal(requests, passes.SelectMany(pass => pass));
        Assert.All(passes, pass => Assert.True(pass.Count == 1 || pass.Sum(request => request.HistoryTimestamps.Length + request.Impressions.Count) <= 16_384));
        Assert.InRange(passes.Length, 2, 20);
    }

    private static Request[] Rows(int users, int rowsPerUser)
    {
        var rows = new List<Request>();
        for (int user = 0; user < users; user++)
        {
            int[] pasts = [.. Enumerable.Range(0, rowsPerUser).Select(row => row * (user + 1))];
            rows.AddRange(TestRequests.OneByOne(TestRequests.Shared(rowsPerUser * (user + 1), pasts, seed: user)));
        }
        Request[] shuffled = [.. rows];
        new Random(1).Shuffle(shuffled);
        return shuffled;
    }

    [Fact]
    public void Shuffled_in_runs_every_request_comes_once_in_runs_that_share_a_history()
    {
        Request[] rows = Rows(users: 20, rowsPerUser: 17);
        Request[] shuffled = rows.ShuffleInRuns(poolSize: 1_000, runLength: 5, new Random(1)).ToArray();

        Assert.Equal(rows.Select(row => row.Impressions[0]).ToHashSet(), shuffled.Select(row => row.Impressions[0]).ToHashSet());
        Assert.Equal(rows.Length, shuffled.Length);
        // 17 rows are runs of 4, 4, 4 and 5; those without a past are one group of 20, in four.
        Request[] joined = shuffled.JoinRuns(runLength: 5).ToArray();
        Assert.InRange(joined.Length, 84, 88);
        Assert.All(joined, run => Assert.InRange(run.Impressions.Count, 1, 5));
        Assert.All(joined, run => Assert.Equal(run.HistoryTimestamps.Length, run.Impressions.Max(one => one.PastLength)));
        Assert.NotEqual(shuffled.Select(row => row.Impressions[0]), rows.ShuffleInRuns(1_000, 5, new Random(2)).Select(row => row.Impressions[0]));
    }

    [Fact]
    public void Of_rows_that_share_a_history_the_longest_alone_stays_in_memory()
    {
        const int rows = 50;
        var histories = new List<WeakReference>();
        int alive = 0;
        IEnumerable<Request> OneAfterAnother()
        {
            for (int past = 1; past <= rows; past++)
                yield return Row(past);
            GC.Collect();
            alive = histories.Count(history => history.IsAlive);
        }
        [MethodImpl(MethodImplOptions.NoInlining)]
        Request Row(int past)
        {
            Request row = TestRequests.OneByOne(TestRequests.Shared(rows, [past]))[0];
            histories.Add(new WeakReference(row.HistoryTimestamps));
            return row;
        }
        Assert.Equal(rows, OneAfterAnother().ShuffleInRuns(poolSize: 1_000, runLength: 8, new Random(1)).Count());
        // The longest one, and those that a local variable may still hold.
        Assert.InRange(alive, 1, 3);
    }

    [Fact]
    public void A_joined_request_is_what_its_rows_are_one_by_one()
    {
        Request[] rows = Rows(users: 5, rowsPerUser: 9);
        Dictionary<Impression, Request> own = rows.ToDictionary(row => row.Impressions[0]);
        foreach (Request joined in rows.JoinByHistory(poolSize: 30, withBeginnings: true))
        {
            Assert.All(TestRequests.OneByOne(joined), row => Assert.True(row.HasSameHistoryAs(own[row.Impressions[0]])));
            Assert.Equal(joined.Impressions.Select(one => one.PastLength).Order(), joined.Impressions.Select(one => one.PastLength));
        }
    }

    [Fact]
    public void Requests_of_users_who_only_begin_alike_are_not_joined()
    {
        Request one = TestRequests.Request(10, 1), other = TestRequests.Request(10, 1);
        other.HistoryKeys[1][9]++;
        Assert.Equal(2, new[] { one, other }.JoinByHistory(10, withBeginnings: true).Count());
        other.HistoryKeys[1][9]--;
        Assert.Single(new[] { one, other }.JoinByHistory(10, withBeginnings: true));
    }

    [Fact]
    public void Without_beginnings_only_requests_of_the_same_history_are_joined()
    {
        Request[] rows = TestRequests.OneByOne(TestRequests.Shared(10, [8, 8, 9, 10]));
        Assert.Equal([2, 1, 1], rows.JoinByHistory(10, withBeginnings: false).Select(request => request.Impressions.Count));
    }
}
