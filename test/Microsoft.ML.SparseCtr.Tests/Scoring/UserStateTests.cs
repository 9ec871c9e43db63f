namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>A state that grows with a user's events is held to a scorer that gets the whole history anew.</summary>
public class UserStateTests
{
    /// <summary>Of one network more than the others have: three blocks, heads of five numbers, and each branch of a width of its own.</summary>
    private static readonly Dictionary<string, CtrTrainerOptions> s_networks = new(TestRequests.Networks)
    {
        ["three blocks"] = (SparseCtrTrainer.Options)TestRequests.Networks["SparseCtr with causal chunks"]
            with { NumberOfBlocks = 3, ModelDimension = 15, NumberOfHeads = 3, NumberOfChunks = 9, TransitionBehaviors = 3, LocalWindow = 11 },
        ["no local branch"] = (SparseCtrTrainer.Options)TestRequests.Networks["SparseCtr with causal chunks"]
            with { Branches = AttentionBranches.GlobalAndTransition, TemporalTerms = TemporalTerms.ElapsedAndWeekend },
        ["one chunk"] = TestRequests.Sizes with { Chunking = ChunkingPolicy.Causal, NumberOfChunks = 1, LocalWindow = 1 },
        ["a window of 40"] = (SparseCtrTrainer.Options)TestRequests.Networks["SparseCtr with causal chunks"] with { HistoryLength = 40, HistoryStride = 15 },
        ["a window that moves with every event"] = TestRequests.Networks["DenseAttention"] with { HistoryLength = 25, HistoryStride = 1 },
    };

    public static TheoryData<string> Networks => new(s_networks.Keys);

    [Theory]
    [MemberData(nameof(Networks))]
    public void A_state_scores_as_a_history_does_after_every_event(string network)
    {
        CtrScorer scorer = RandomScorer.Of(s_networks[network]);
        for (int seed = 1; seed <= 3; seed++)
        {
            Request request = TestRequests.Request(90, 9, seed, seed == 3 ? _ => 0 : null);
            UserState state = scorer.Encode(new([], [[], [], []]));
            for (int events = 0; ; events++)
            {
                AssertScoresAsHistory(scorer, state, request, events);
                if (events == request.HistoryTimestamps.Length)
                    break;
                scorer.Append(state, RandomScorer.History(request, events..(events + 1)));
            }
        }
    }

    [Theory]
    [MemberData(nameof(Networks))]
    public void Events_may_come_in_groups_of_any_size_and_states_go_through_streams(string network)
    {
        CtrScorer scorer = RandomScorer.Of(s_networks[network]);
        Request request = TestRequests.Request(200, 4, seed: 5);
        var random = new Random(5);
        int events = random.Next(50);
        UserState state = scorer.Encode(RandomScorer.History(request, ..events));
        while (events < request.HistoryTimestamps.Length)
        {
            AssertScoresAsHistory(scorer, state, request, events);
            int next = Math.Min(events + random.Next(40), request.HistoryTimestamps.Length);
            state = Copy(scorer, state);
            scorer.Append(state, RandomScorer.History(request, events..next));
            events = next;
        }
        AssertScoresAsHistory(scorer, state, request, events);
    }

    [Theory]
    [MemberData(nameof(Networks))]
    public void A_state_that_was_saved_gives_the_same_scores(string network)
    {
        CtrScorer scorer = RandomScorer.Of(s_networks[network]);
        Request request = TestRequests.Request(120, 3, seed: 2);
        UserState state = scorer.Encode(RandomScorer.History(request));
        Assert.Equal(scorer.Score(state, RandomScorer.Candidates(request)), scorer.Score(Copy(scorer, state), RandomScorer.Candidates(request)));
    }

    [Fact]
    public void Ten_thousand_events_and_a_thousand_candidates_are_scored_as_a_history()
    {
        CtrScorer scorer = RandomScorer.Of(TestRequests.Sizes with { Chunking = ChunkingPolicy.Causal });
        Request request = TestRequests.Request(10_000, 1_000);
        UserState state = scorer.Encode(RandomScorer.History(request, ..9_990));
        for (int events = 9_990; events < 10_000; events++)
            scorer.Append(state, RandomScorer.History(request, events..(events + 1)));
        AssertScoresAsHistory(scorer, state, request, 10_000);
    }

    [Fact]
    public void Candidates_of_different_moments_are_scored_as_if_alone()
    {
        CtrScorer scorer = RandomScorer.Of(TestRequests.Networks["SparseCtr with causal chunks"]);
        Request request = TestRequests.Request(50, 0);
        long last = request.HistoryTimestamps[^1];
        request.Impressions.AddRange(new long[] { 5, 5, 70_000, 5, 400_000, 400_000 }.Select((later, i) => TestRequests.Candidate(new Random(i), 50, last + later)));
        AssertScoresAsHistory(scorer, scorer.Encode(RandomScorer.History(request)), request, 50);
    }

    [Fact]
    public async Task Many_threads_may_score_with_one_state()
    {
        CtrScorer scorer = RandomScorer.Of(TestRequests.Sizes);
        Request request = TestRequests.Request(80, 20);
        CtrCandidate[] candidates = RandomScorer.Candidates(request);
        UserState state = scorer.Encode(RandomScorer.History(request));
        float[] expected = scorer.Score(state, candidates);
        float[][] scores = await Task.WhenAll(Enumerable.Range(0, 200).Select(_ => Task.Run(() => scorer.Score(state, candidates))));
        Assert.All(scores, of => Assert.Equal(expected, of));
    }

    [Theory]
    [MemberData(nameof(Networks))]
    public void Scoring_with_a_state_allocates_nothing(string network)
    {
        CtrScorer scorer = RandomScorer.Of(s_networks[network]);
        Request request = TestRequests.Request(100, 20);
        UserState state = scorer.Encode(RandomScorer.History(request));
        CtrCandidate[] candidates = RandomScorer.Candidates(request);
        var scores = new float[candidates.Length];
        RandomScorer.AssertAllocatesNothing(() => scorer.Score(state, candidates, scores));
    }

    [Fact]
    public void Events_that_do_not_fit_leave_the_state_as_it_was()
    {
        CtrScorer scorer = RandomScorer.Of(TestRequests.Sizes);
        Request request = TestRequests.Request(20, 3);
        UserState state = scorer.Encode(RandomScorer.History(request));
        AssertRefused($"events begin at {request.HistoryTimestamps[18]}; expected Unix seconds not before the state's latest event", RandomScorer.History(request, 18..19));
        AssertRefused("events has keys of 1 columns", new CtrHistory([TestRequests.Now], [1]));
        AssertRefused("events has the key 51 in 'HistoryItem'", new CtrHistory([TestRequests.Now], [51], [1], [1]));
        AssertScoresAsHistory(scorer, state, request, 20);

        void AssertRefused(string message, CtrHistory events) => Assert.Contains(message, Assert.Throws<ArgumentException>(() => scorer.Append(state, events)).Message);
    }

    /// <summary>As after an exception in the midst of an Append.</summary>
    [Fact]
    public void A_state_whose_events_are_not_all_encoded_is_not_scored_with_until_they_are()
    {
        CtrScorer scorer = RandomScorer.Of(TestRequests.Sizes);
        Request request = TestRequests.Request(20, 3);
        UserState state = scorer.Encode(RandomScorer.History(request));
        state.Encoding!.Clear();
        Assert.Contains("Append failed", Assert.Throws<InvalidOperationException>(() => scorer.Score(state, RandomScorer.Candidates(request))).Message);
        scorer.Append(state, RandomScorer.History(request, 0..0));
        AssertScoresAsHistory(scorer, state, request, 20);
    }

    [Fact]
    public void A_state_takes_no_more_memory_than_its_events_need()
    {
        SparseCtrTrainer.Options options = (SparseCtrTrainer.Options)TestRequests.Networks["SparseCtr with causal chunks"] with { HistoryLength = 1_000, NumberOfChunks = 100 };
        CtrHistory history = RandomScorer.History(TestRequests.Request(1_000, 0));
        long few = RandomScorer.Of(options with { TransitionBehaviors = 4 }).Encode(history).ByteSize;
        Assert.InRange(RandomScorer.Of(options with { TransitionBehaviors = 1_000 }).Encode(history).ByteSize, few, 4 * few);
    }

    [Fact]
    public void A_state_is_of_one_model()
    {
        (CtrScorer scorer, CtrScorer other) = (RandomScorer.Of(TestRequests.Sizes), RandomScorer.Of(TestRequests.Sizes, seed: 2));
        UserState state = scorer.Encode(RandomScorer.History(TestRequests.Request(20, 0)));
        Assert.Contains("state is of another model", Assert.Throws<ArgumentException>(() => other.Score(state)).Message);
        Assert.Contains("encoded by another model", Assert.Throws<FormatException>(() => other.ReadState(Saved(state))).Message);
        Assert.Equal(20, RandomScorer.Of(TestRequests.Sizes).ReadState(Saved(state)).Count);
    }

    [Fact]
    public void What_is_no_state_is_refused()
    {
        CtrScorer scorer = RandomScorer.Of(TestRequests.Sizes);
        byte[] good = Saved(scorer.Encode(RandomScorer.History(TestRequests.Request(20, 0)))).ToArray();
        AssertRefused("does not begin as one", bytes => bytes[0]++);
        AssertRefused("it has format version 2", bytes => bytes[4]++);
        AssertRefused("claims -1 events", bytes => bytes.AsSpan(48, 4).Fill(255));
        AssertRefused("claims 20 events of 3 columns, after 7 that are left out", bytes => bytes[40] = 7);
        AssertRefused("its event 1 is before the one before it", bytes => bytes[67] = 0);
        AssertRefused("has the key 16777215 in 'HistoryItem'", bytes => bytes.AsSpan(56 + 20 * 8, 3).Fill(255));
        for (int length = 0; length < good.Length; length += 97)
            Assert.Throws<FormatException>(() => scorer.ReadState(new MemoryStream(good[..length])));

        void AssertRefused(string message, Action<byte[]> change)
        {
            byte[] bytes = [.. good];
            change(bytes);
            Assert.Contains(message, Assert.Throws<FormatException>(() => scorer.ReadState(new MemoryStream(bytes))).Message);
        }
    }

    private static void AssertScoresAsHistory(CtrScorer scorer, UserState state, Request request, int events)
    {
        CtrCandidate[] candidates = RandomScorer.Candidates(request);
        double[] expected = Doubles(scorer.Score(RandomScorer.History(request, ..events), candidates)), actual = Doubles(scorer.Score(state, candidates));
        TestRequests.AssertClose($"{events} events", expected, actual, 1e-5);

        static double[] Doubles(float[] scores) => Array.ConvertAll(scores, score => (double)score);
    }

    private static UserState Copy(CtrScorer scorer, UserState state) => scorer.ReadState(Saved(state));

    private static MemoryStream Saved(UserState state)
    {
        var stream = new MemoryStream();
        state.Save(stream);
        stream.Position = 0;
        return stream;
    }
}
