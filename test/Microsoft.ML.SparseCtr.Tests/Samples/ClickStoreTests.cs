using SparseCtr.Samples;

namespace Microsoft.ML.SparseCtr.Tests;

public class ClickStoreTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Counts_before_any_time_are_those_of_all_events_whenever_they_were_added(int seed)
    {
        var random = new Random(seed);
        var store = new ClickStore(new ClickData("nothing", [], _ => { }, LeastClick: 1));
        var all = new List<ClickEvent>();
        // New users come with events from before those of others.
        for (int user = 0; user < 20; user++)
        {
            ClickEvent[] events = [.. Enumerable.Range(0, random.Next(6)).Select(_ => Event()).OrderBy(one => one.Timestamp)];
            all.AddRange(events);
            store.Append(store.UserOrNew(user), events);
        }

        for (long time = 0; time <= 11; time++)
        {
            (ClickSums ofAll, ClickSums[] items) = store.SumsBefore(time, [0, 1, 2, 3]);
            Assert.Equal(Sums(all.Where(one => one.Timestamp < time)), ofAll);
            Assert.Equal(Enumerable.Range(0, 4).Select(item => Sums(all.Where(one => one.Item == item && one.Timestamp < time))), items);
        }

        ClickEvent Event()
        {
            bool clicked = random.Next(2) == 0;
            return new(random.Next(3), clicked ? 1 : 0, clicked, random.Next(10));
        }

        static ClickSums Sums(IEnumerable<ClickEvent> events) => events.Aggregate(default(ClickSums), (sums, one) => sums.With(one.Clicked, one.Action));
    }
}
