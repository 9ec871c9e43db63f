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
    public void Passes_keep_the_order_and_hold_no_more_tokens_than_one_pass_but_for_a_single_large_request()
    {
        Request[] requests = [.. Enumerable.Range(0, 40).Select(i => TestRequests.Request(events: i % 7 * 1_000, candidates: 1, seed: i)), TestRequests.Request(20_000, 2)];
        List<Request>[] passes = requests.InPasses().ToArray();
        Assert.Equal(requests, passes.SelectMany(pass => pass));
        Assert.All(passes, pass => Assert.True(pass.Count == 1 || pass.Sum(request => request.HistoryTimestamps.Length + request.Impressions.Count) <= 16_384));
        Assert.InRange(passes.Length, 2, 20);
    }
}
