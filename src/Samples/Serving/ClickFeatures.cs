using Microsoft.ML.SparseCtr;

namespace SparseCtr.Samples;

/// <summary>
/// Makes of events what the pipeline of <see cref="Demo.Features"/> makes of rows: keys, and rates so far. A model is then served without its
/// pipeline, and with events that no log has yet.
/// </summary>
internal sealed class ClickFeatures(CtrScorer scorer, ClickStore store)
{
    /// <summary>The demo's rates are smoothed by default.</summary>
    private static readonly RunningRateEstimator.Options s_rates = new();

    /// <exception cref="FormatException">The model was trained on other columns than the demo's.</exception>
    public CtrHistory History(ReadOnlySpan<ClickEvent> events)
    {
        var times = new long[events.Length];
        var keys = new int[scorer.HistoryColumnNames.Count][];
        for (int column = 0; column < keys.Length; column++)
            keys[column] = new int[times.Length];
        for (int i = 0; i < events.Length; i++)
        {
            times[i] = events[i].Timestamp;
            ItemFacts? item = store.Item(events[i].Item);
            for (int column = 0; column < keys.Length; column++)
            {
                string name = scorer.HistoryColumnNames[column];
                keys[column][i] = name == "HistoryAction"
                    ? scorer.KeyOf(name, (double)events[i].Action)
                    : ItemKey(name, name["History".Length..], events[i].Item, item);
            }
        }
        return new CtrHistory(times, keys);
    }

    /// <param name="items">The candidates.</param>
    /// <param name="userFacts">What is known of the user.</param>
    /// <param name="past">The user's events before <paramref name="time"/>.</param>
    /// <param name="time">The moment to score them for.</param>
    /// <exception cref="FormatException">The model was trained on other columns than the demo's.</exception>
    public CtrCandidate[] Candidates(ReadOnlySpan<int> items, int[] userFacts, ReadOnlySpan<ClickEvent> past, long time)
    {
        ClickSums ofUser = default;
        foreach (ClickEvent one in past)
            ofUser = ofUser.With(one.Clicked, one.Action);
        (ClickSums all, ClickSums[] ofItems) = store.SumsBefore(time, items);
        float[] moment = ClickData.MomentOf(time);
        int[][] userKeys = scorer.UserColumnNames
            .Select(name => name == "UserFacts" ? userFacts.Select(fact => scorer.KeyOf(name, fact)).ToArray() : throw NotOfTheDemo(name)).ToArray();

        var candidates = new CtrCandidate[items.Length];
        for (int i = 0; i < candidates.Length; i++)
        {
            int id = items[i];
            ItemFacts? item = store.Item(id);
            ClickSums ofItem = ofItems[i];
            candidates[i] = new CtrCandidate
            {
                ItemKeys = scorer.ItemColumnNames.Select(name => ItemKey(name, name, id, item)).ToArray(),
                CandidateKeys = scorer.CandidateColumnNames
                    .Select(name => name == "Tags" ? (item?.Tags ?? []).Select(tag => scorer.KeyOf(name, tag)).ToArray() : throw NotOfTheDemo(name)).ToArray(),
                UserKeys = userKeys,
                Numbers = scorer.NumericColumnNames.SelectMany(name => Number(name, ofItem)).ToArray(),
                Timestamp = time,
            };
        }
        return candidates;

        float[] Number(string name, ClickSums ofItem) => name switch
        {
            "ItemRate" => [Rate(ofItem.Count, ofItem.Clicks, all.Clicks)],
            "ItemAction" => [Rate(ofItem.Count, ofItem.Actions, all.Actions)],
            "ItemCount" => [(float)Math.Log(1 + ofItem.Count)],
            "UserRate" => [Rate(ofUser.Count, ofUser.Clicks, all.Clicks)],
            "UserAction" => [Rate(ofUser.Count, ofUser.Actions, all.Actions)],
            "UserCount" => [(float)Math.Log(1 + ofUser.Count)],
            "Moment" => moment,
            _ => throw NotOfTheDemo(name),
        };

        float Rate(long count, double sum, double sumOfAll) => (float)Smoothed(count, sum, Smoothed(all.Count, sumOfAll, s_rates.InitialRate));

        static double Smoothed(long count, double sum, double prior) => (sum + s_rates.PriorWeight * prior) / (count + s_rates.PriorWeight);
    }

    /// <summary>The key of an item, or of its category or age: those of an item that the log does not know are missing.</summary>
    private int ItemKey(string column, string what, int id, ItemFacts? item) => what switch
    {
        "Item" => scorer.KeyOf(column, id),
        "Category" => item is null ? 0 : scorer.KeyOf(column, item.Category),
        "Age" => item is null ? 0 : scorer.KeyOf(column, item.Age),
        _ => throw NotOfTheDemo(column),
    };

    private static FormatException NotOfTheDemo(string column)
        => new($"The model reads the column '{column}', which the demo's pipeline does not make: only its models are served.");
}
