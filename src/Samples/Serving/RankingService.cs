using Microsoft.ML.SparseCtr;

namespace SparseCtr.Samples;

/// <summary>What the service does, whoever asks.</summary>
internal sealed class RankingService(ClickStore store, ModelFile model)
{
    private const int ListedUsers = 1_000;

    public RankAnswer Rank(RankRequest request)
    {
        int[] items = RequestBody.Candidates(request.Candidates);
        long? asked = RequestBody.Time(request.Timestamp, "timestamp");
        if (request.User is null == request.History is null)
            throw new RequestProblem("user", "and history are both given, or neither is; expected one of them");
        UserLog user;
        if (request.User is { } id)
        {
            user = store.User(id);
        }
        else
        {
            user = new UserLog(id: 0, facts: []);
            user.Append(RequestBody.Events(request.History, "history", store.IsClick));
        }
        return WithState(user, asked, isKept: request.User is not null, view => new RankAnswer(request.User, view.Time, Ranked(view, items)));
    }

    public ExplainAnswer Explain(ExplainRequest request)
    {
        int id = RequestBody.Required(request.User, "user"), item = RequestBody.Required(request.Candidate, "candidate");
        return WithState(store.User(id), RequestBody.Time(request.Timestamp, "timestamp"), isKept: true, view => new ExplainAnswer(
            id,
            view.Time,
            Ranked(view, [item])[0],
            LeftOut: view.User.Before(view.Time).Length - view.State.Count,
            view.Model.Scorer.Explain(view.State, view.Candidates([item])[0])));
    }

    public EventsAnswer Append(EventsRequest request)
    {
        int id = RequestBody.Required(request.User, "user");
        ClickEvent[] events = RequestBody.Events(request.Events, "events", store.IsClick);
        UserLog user = events.Length == 0 ? store.User(id) : store.UserOrNew(id);
        lock (user.Lock)
        {
            if (events.Length > 0 && events[0].Timestamp < user.LastTimestamp)
                throw new RequestProblem("events[0].timestamp", $"is {events[0].Timestamp}; expected none before the user's latest event, {user.LastTimestamp}");
            store.Append(user, events);
            return new EventsAnswer(id, events.Length, user.Events.Length);
        }
    }

    public UsersAnswer Users()
    {
        UserLog[] users = store.Users.OrderBy(user => user.Id).ToArray();
        return new UsersAnswer(users.Length, users.Take(ListedUsers).Select(user =>
        {
            lock (user.Lock)
                return new UserAnswer(user.Id, user.Events.Length, user.Events.IsEmpty ? null : user.LastTimestamp);
        }).ToArray());
    }

    public HistoryAnswer History(int id)
    {
        UserLog user = store.User(id);
        lock (user.Lock)
        {
            return new HistoryAnswer(id, [.. user.Events.ToArray().Select(one =>
                new EventAnswer(one.Item, store.Item(one.Item)?.Category, one.Action, one.Clicked, one.Timestamp))]);
        }
    }

    public ItemsAnswer Items() => new(store.Name, store.Actions,
        [.. store.Shown().OrderByDescending(item => item.Shown).ThenBy(item => item.Item)
            .Select(item => new ItemAnswer(item.Item, store.Item(item.Item)?.Category, item.Shown))]);

    /// <summary>A user as a model sees them at some time.</summary>
    private sealed record View(ServedModel Model, UserLog User, UserState State, long Time)
    {
        public CtrCandidate[] Candidates(ReadOnlySpan<int> items) => Model.Features.Candidates(items, User.Facts, User.Before(Time), Time);
    }

    private static RankedCandidate[] Ranked(View view, int[] items)
    {
        float[] scores = view.Model.Scorer.Score(view.State, view.Candidates(items));
        return items.Zip(scores, (item, score) => new RankedCandidate(item, score, CtrScorer.Probability(score)))
            .OrderByDescending(candidate => candidate.Score).ToArray();
    }

    /// <summary>
    /// Encodes what a user did before a time, or takes the state that is kept and appends what it lacks. Which model does it is decided under the
    /// user's lock, so that the state and the number of events in it are always of the one in use; what was begun with a model ends with it.
    /// </summary>
    private T WithState<T>(UserLog user, long? asked, bool isKept, Func<View, T> use)
    {
        lock (user.Lock)
        {
            ServedModel current = model.Current;
            // Of the moment of an event, that event is not yet history: as in the training data, history is what was strictly before.
            long time = asked ?? Math.Clamp(user.LastTimestamp + 1, DateTimeOffset.UtcNow.ToUnixTimeSeconds(), Limits.Timestamp);
            if (!isKept || user.Events.IsEmpty || time <= user.LastTimestamp)
                return use(new View(current, user, current.Scorer.Encode(current.Features.History(user.Before(time))), time));

            return current.States.Use($"{user.Id}", create: () =>
            {
                UserState state = current.Scorer.Encode(current.Features.History(user.Events));
                user.Encoded = user.Events.Length;
                return state;
            }, state =>
            {
                if (user.Encoded < user.Events.Length)
                {
                    current.Scorer.Append(state, current.Features.History(user.Events[user.Encoded..]));
                    user.Encoded = user.Events.Length;
                }
                return use(new View(current, user, state, time));
            });
        }
    }
}
