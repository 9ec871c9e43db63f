using Microsoft.ML.SparseCtr;

namespace SparseCtr.Samples;

/// <summary>
/// A made-up shop, of which everything is known. Each user has a home interest, and follows one interest per session: at home, or what usually
/// comes after the last one, or anything. A page shows a few items, more often of the current interest, and the user clicks by the interest,
/// the item's quality, the hour of the day and the weekend. Who sees only the history must infer the interest; how well that can be done at
/// best is exactly what a Bayesian filter over (home, interest) does, so the best reachable AUC is known.
/// </summary>
internal sealed class GeneratedData
{
    private const int Interests = 10;
    private const int Items = 400;
    private const int ItemsPerPage = 3;
    private const double ShownFromInterest = 0.4;
    private const double StaysHome = 0.5;
    private const double FollowsUsualOrder = 0.3;
    private const long Second = 1, Minute = 60 * Second, Hour = 60 * Minute, Day = 24 * Hour;
    private const long FirstDay = 19_723 * Day; // 2024-01-01

    private readonly Random _random;
    private readonly int[] _interestOfItem = new int[Items];
    private readonly double[] _quality = new double[Items];
    private readonly double[] _bestHour = new double[Interests];
    private readonly double[] _weekendEffect = new double[Interests];

    private GeneratedData(int users, int pagesPerUser, int seed)
    {
        _random = new Random(seed);
        for (int item = 0; item < Items; item++)
        {
            _interestOfItem[item] = item % Interests;
            _quality[item] = 0.7 * Normal();
        }
        for (int interest = 0; interest < Interests; interest++)
        {
            _bestHour[interest] = 24 * _random.NextDouble();
            _weekendEffect[interest] = interest % 2 == 0 ? 0.6 : -0.6;
        }
        for (int user = 1; user <= users; user++)
            AddUser(user, pagesPerUser);
    }

    private readonly List<Impression> _log = [];

    /// <summary>Generates a click log; the same arguments give the same one.</summary>
    public static ClickData Create(int users = 1_200, int pagesPerUser = 30, int seed = 1)
        => ClickData.Create("generated clicks", new GeneratedData(users, pagesPerUser, seed)._log, Tune, leastClick: 1);

    /// <summary>Every item is shown often, so that little needs to be hidden, and the interests take a few passes to find.</summary>
    private static void Tune(CtrTrainerOptions options)
        => (options.NumberOfEpochs, options.ItemDropout, options.Dropout, options.TokenDropout) = (6, 0.1, 0.05, 0.05);

    private void AddUser(int user, int pages)
    {
        int home = _random.Next(Interests);
        int interest = home;
        var belief = new Belief();
        long time = FirstDay + (long)(_random.NextDouble() * 30 * Day);
        int pagesLeftInSession = 0;
        for (int page = 0; page < pages; page++)
        {
            if (pagesLeftInSession == 0)
            {
                time = NextVisit(time);
                interest = NextInterest(home, interest);
                belief.BeginSession();
                pagesLeftInSession = 3 + _random.Next(6);
            }
            pagesLeftInSession--;
            time += 5 + (long)(-60 * Math.Log(1 - _random.NextDouble()));

            var shown = new List<Impression>();
            while (shown.Count < ItemsPerPage)
            {
                int category = _random.NextDouble() < ShownFromInterest ? interest : _random.Next(Interests);
                int item;
                do
                    item = category + Interests * (int)(Items / Interests * Math.Pow(_random.NextDouble(), 2));
                while (shown.Any(other => other.Item == item));
                bool clicked = _random.NextDouble() < ClickProbability(item, interest, time);
                double best = belief.Predict(category, i => ClickProbability(item, i, time));
                shown.Add(new Impression
                {
                    Timestamp = time,
                    User = user,
                    Item = item,
                    Category = category,
                    Action = clicked ? 1 : 0,
                    BestPrediction = (float)best,
                });
            }
            foreach (Impression seen in shown)
                belief.Observe(seen.Category, seen.Action > 0, i => ClickProbability(seen.Item, i, time));
            _log.AddRange(shown);
        }
    }

    private double ClickProbability(int item, int interest, long time)
    {
        int category = _interestOfItem[item];
        (double hour, bool isWeekend) = MomentOf(time);
        double logit = -2 + _quality[item]
            + (category == interest ? 3 : 0)
            + 0.6 * Math.Cos(2 * Math.PI * (hour - _bestHour[category]) / 24)
            + (isWeekend ? _weekendEffect[category] : 0);
        return 1 / (1 + Math.Exp(-logit));
    }

    private int NextInterest(int home, int last)
    {
        double choice = _random.NextDouble();
        return choice < StaysHome ? home
            : choice < StaysHome + FollowsUsualOrder ? (last + 1) % Interests
            : _random.Next(Interests);
    }

    /// <summary>Hours or days later, by day rather than by night, and more often on weekends.</summary>
    private long NextVisit(long time)
    {
        while (true)
        {
            time += (long)(-12 * Hour * Math.Log(1 - _random.NextDouble())) + Hour;
            (double hour, bool isWeekend) = MomentOf(time);
            double appeal = (0.5 + 0.5 * Math.Cos(2 * Math.PI * (hour - 19) / 24)) * (isWeekend ? 1 : 0.6);
            if (_random.NextDouble() < appeal)
                return time;
        }
    }

    private static (double Hour, bool IsWeekend) MomentOf(long time)
        => (time % Day / (double)Hour, (time / Day + 3) % 7 >= 5); // Day 0 was a Thursday.

    private double Normal() => Math.Sqrt(-2 * Math.Log(1 - _random.NextDouble())) * Math.Cos(2 * Math.PI * _random.NextDouble());

    /// <summary>The probability of each (home, current interest), given all that has been shown to a user and clicked.</summary>
    private sealed class Belief
    {
        private double[,] _probability = new double[Interests, Interests];

        public Belief()
        {
            for (int home = 0; home < Interests; home++)
                _probability[home, home] = 1.0 / Interests;
        }

        public void BeginSession()
        {
            var next = new double[Interests, Interests];
            for (int home = 0; home < Interests; home++)
            {
                for (int last = 0; last < Interests; last++)
                {
                    double p = _probability[home, last];
                    next[home, home] += p * StaysHome;
                    next[home, (last + 1) % Interests] += p * FollowsUsualOrder;
                    for (int any = 0; any < Interests; any++)
                        next[home, any] += p * (1 - StaysHome - FollowsUsualOrder) / Interests;
                }
            }
            _probability = next;
        }

        /// <summary>The probability of a click on an item of a category: that it was shown already says something of the interest.</summary>
        public double Predict(int category, Func<int, double> clickProbability)
        {
            double clicked = 0, shown = 0;
            ForEach((interest, p) =>
            {
                shown += p * Shown(category, interest);
                clicked += p * Shown(category, interest) * clickProbability(interest);
            });
            return clicked / shown;
        }

        public void Observe(int category, bool clicked, Func<int, double> clickProbability)
        {
            double sum = 0;
            for (int home = 0; home < Interests; home++)
            {
                for (int interest = 0; interest < Interests; interest++)
                {
                    double click = clickProbability(interest);
                    sum += _probability[home, interest] *= Shown(category, interest) * (clicked ? click : 1 - click);
                }
            }
            for (int home = 0; home < Interests; home++)
            {
                for (int interest = 0; interest < Interests; interest++)
                    _probability[home, interest] /= sum;
            }
        }

        private void ForEach(Action<int, double> action)
        {
            for (int home = 0; home < Interests; home++)
            {
                for (int interest = 0; interest < Interests; interest++)
                    action(interest, _probability[home, interest]);
            }
        }

        private static double Shown(int category, int interest) => (category == interest ? ShownFromInterest : 0) + (1 - ShownFromInterest) / Interests;
    }
}
