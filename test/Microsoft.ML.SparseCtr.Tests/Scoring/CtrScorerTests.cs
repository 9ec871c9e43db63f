using System.IO.Compression;
using Microsoft.ML.Data;

namespace Microsoft.ML.SparseCtr.Tests;

public sealed class CtrScorerTests(TrainedModel trained) : IClassFixture<TrainedModel>
{
    private readonly MLContext _mlContext = trained.MLContext;

    private CtrScorer Scorer => CtrScorer.Of(trained.Model, trained.TestView.Schema);

    [Fact]
    public void A_loaded_scorer_gives_the_pipelines_scores()
    {
        using var file = new ModelZip(_mlContext, trained.Model, trained.TestView.Schema);
        CtrScorer scorer = CtrScorer.Load(file.Path);
        TinyClicks.Prediction[] expected = TinyClicks.Predict(_mlContext, trained.Model, trained.TestRows);
        Assert.All(trained.TestRows.Zip(expected), pair =>
        {
            float score = scorer.Score(HistoryOf(scorer, pair.First), CandidateOf(scorer, pair.First))[0];
            Assert.Equal(pair.Second.Score, score, 1e-5);
            Assert.Equal(pair.Second.Probability, CtrScorer.Probability(score), 1e-6);
        });
    }

    [Fact]
    public void Candidates_are_scored_in_their_order_each_as_if_alone()
    {
        CtrScorer scorer = Scorer;
        CtrHistory history = HistoryOf(scorer, trained.TestRows.MaxBy(row => row.HistoryItem.Length)!);
        CtrCandidate[] candidates = trained.TestRows.Select(row => CandidateOf(scorer, row, history.Timestamps[^1])).ToArray();
        float[] alone = candidates.Select(candidate => scorer.Score(history, candidate)[0]).ToArray();
        Assert.All(alone.Zip(scorer.Score(history, candidates)), pair => Assert.Equal(pair.First, pair.Second, 1e-5));
        Assert.Empty(scorer.Score(history));
    }

    [Fact]
    public void Keys_are_those_that_the_network_gets_whatever_comes_behind_it()
    {
        ITransformer mapped = trained.Model.Append(_mlContext.Transforms.Conversion.MapKeyToValue("Item").Fit(trained.Model.Transform(trained.TestView)));
        Assert.Equal(1, CtrScorer.Of(mapped, trained.TestView.Schema).KeyOf("Item", "item 0"));
    }

    [Fact]
    public void It_says_which_columns_it_takes_in_which_order()
    {
        CtrScorer scorer = Scorer;
        Assert.Equal(["HistoryItem", "HistoryKind", "HistoryAction"], scorer.HistoryColumnNames);
        Assert.Equal(["Item", "Kind"], scorer.ItemColumnNames);
        Assert.Equal((trained.Model.LastTransformer.Config.Options.HistoryLength, 1), (scorer.HistoryLength, scorer.HistoryStride));
        Assert.Equal([[], ["Gender"], ["Price"]], new[] { scorer.CandidateColumnNames, scorer.UserColumnNames, scorer.NumericColumnNames });
    }

    [Fact]
    public void A_value_that_training_has_not_seen_has_the_missing_key()
    {
        Assert.Equal(1, Scorer.KeyOf("Item", "item 0"));
        Assert.Equal(20, Scorer.KeyOf("HistoryItem", "item 19"));
        Assert.Equal(0, Scorer.KeyOf("Item", "never seen"));
        Assert.Contains("'Item' do not stand for whole numbers", Assert.Throws<InvalidOperationException>(() => Scorer.KeyOf("Item", 3)).Message);
        Assert.Contains("'Item' do not stand for real numbers", Assert.Throws<InvalidOperationException>(() => Scorer.KeyOf("Item", 3.5)).Message);
        Assert.Contains("do not stand for texts", Assert.Throws<InvalidOperationException>(() => CtrScorer.Of(trained.Model).KeyOf("Item", "item 0")).Message);
        Assert.Contains("expected one of HistoryItem, HistoryKind", Assert.Throws<ArgumentOutOfRangeException>(() => Scorer.KeyOf("Price", "1")).Message);
    }

    private sealed class Rated
    {
        [VectorType]
        public float[] HistoryAction { get; set; } = [];
    }

    [Fact]
    public void A_real_number_has_the_key_of_its_column_whatever_the_columns_precision()
    {
        IDataView rated = _mlContext.Data.LoadFromEnumerable([new Rated { HistoryAction = [3.5f, 4.1f] }]);
        IDataView keyed = _mlContext.Transforms.Conversion.MapValueToKey("HistoryAction").Fit(rated).Transform(rated);
        CtrScorer scorer = CtrScorer.Of(trained.Model.LastTransformer, keyed.Schema);
        Assert.Equal([1, 2, 0], new[] { 3.5, 4.1, 4.2 }.Select(rating => scorer.KeyOf("HistoryAction", rating)));
    }

    [Fact]
    public void Of_a_history_longer_than_the_option_the_latest_behaviors_count()
    {
        CtrScorer scorer = RandomScorer.Of(TestRequests.Sizes with { HistoryLength = 30, HistoryStride = 10 });
        Request request = TestRequests.Request(55, 3);
        CtrCandidate[] candidates = RandomScorer.Candidates(request);
        float[] expected = scorer.Score(new CtrHistory(request.HistoryTimestamps[30..], [.. request.HistoryKeys.Select(keys => keys[30..])]), candidates);
        Assert.Equal(expected, scorer.Score(new CtrHistory(request.HistoryTimestamps, request.HistoryKeys), candidates));
    }

    [Fact]
    public void A_model_that_is_disposed_leaves_the_scorer_its_weights()
    {
        TinyClicks.Row row = trained.TestRows[0];
        CtrTransformer model = new(_mlContext, trained.Model.LastTransformer.Network);
        CtrScorer scorer = CtrScorer.Of(model);
        model.Dispose();
        GC.Collect();
        GC.WaitForPendingFinalizers();
        Assert.Equal(Scorer.Score(HistoryOf(Scorer, row), CandidateOf(Scorer, row)), scorer.Score(HistoryOf(Scorer, row), CandidateOf(Scorer, row)));
        Assert.Throws<ObjectDisposedException>(() => CtrScorer.Of(model));
    }

    public static TheoryData<string> Networks => TestRequests.NamesOfNetworks;

    /// <summary>Once memory has grown to the requests, and the compiler is done.</summary>
    [Theory]
    [MemberData(nameof(Networks))]
    public void Scoring_allocates_nothing(string network)
    {
        CtrScorer scorer = RandomScorer.Of(TestRequests.Networks[network]);
        (CtrHistory History, CtrCandidate[] Candidates, float[] Scores)[] requests = new[] { (100, 20), (0, 1), (60, 7) }.Select(sizes =>
        {
            Request request = TestRequests.Request(sizes.Item1, sizes.Item2);
            return (new CtrHistory(request.HistoryTimestamps, request.HistoryKeys), RandomScorer.Candidates(request), new float[sizes.Item2]);
        }).ToArray();
        RandomScorer.AssertAllocatesNothing(() =>
        {
            foreach ((CtrHistory history, CtrCandidate[] candidates, float[] scores) in requests)
                scorer.Score(history, candidates, scores);
        });
    }

    [Theory]
    [MemberData(nameof(Networks))]
    public void Threads_that_share_a_scorer_get_the_scores_of_one_alone(string network)
    {
        CtrScorer scorer = RandomScorer.Of(TestRequests.Networks[network]);
        Request[] requests = Enumerable.Range(0, 30).Select(i => TestRequests.Request(5 * i, 1 + i % 4, seed: i)).ToArray();
        float[][] alone = requests.Select(Score).ToArray(), together = new float[300][];
        Parallel.For(0, together.Length, new ParallelOptions { MaxDegreeOfParallelism = 8 }, i => together[i] = Score(requests[i % requests.Length]));
        Assert.All(together.Index(), each => Assert.Equal(alone[each.Index % requests.Length], each.Item));

        float[] Score(Request request) => scorer.Score(new CtrHistory(request.HistoryTimestamps, request.HistoryKeys), RandomScorer.Candidates(request));
    }

    [Fact]
    public void Inputs_that_do_not_fit_are_refused_by_name()
    {
        Request good = TestRequests.Request(3, 1);
        CtrCandidate candidate = RandomScorer.Candidates(good)[0];
        CtrScorer scorer = RandomScorer.Of(TestRequests.Sizes);
        AssertRefused("history has keys of 2 columns; expected those of HistoryItem, HistoryBrand, HistoryAction", new(good.HistoryTimestamps, good.HistoryKeys[..2]), candidate);
        AssertRefused("history has 2 keys of 'HistoryBrand', but 3 timestamps", new(good.HistoryTimestamps, good.HistoryKeys[0], [1, 2], good.HistoryKeys[2]), candidate);
        AssertRefused("history has the key 51 in 'HistoryItem'; expected 0 to 50", new(good.HistoryTimestamps, [1, 51, 1], good.HistoryKeys[1], good.HistoryKeys[2]), candidate);
        AssertRefused("history has the time 4 at position 1; expected Unix seconds in ascending order", new([5, 4, 6], good.HistoryKeys), candidate);
        AssertRefused("history has the time -1 at position 0", new([-1, 4, 6], good.HistoryKeys), candidate);

        var history = new CtrHistory(good.HistoryTimestamps, good.HistoryKeys);
        AssertRefused("one with 3 ItemKeys; expected one of each of Item, Brand", history, With(itemKeys: [1, 2, 3]));
        AssertRefused("has the key -1 in 'Brand'; expected 0 to 5", history, With(itemKeys: [1, -1]));
        AssertRefused("has the key 8 in 'Tags'; expected 0 to 7", history, With(candidateKeys: [[1, 8]]));
        AssertRefused("one with UserKeys of 0 columns; expected those of Gender", history, With(userKeys: []));
        AssertRefused("one with 1 Numbers; expected the 2 of Rates", history, With(numbers: [1]));
        AssertRefused("a history must not see the future", history, With(timestamp: 3));
        AssertRefused("candidates has one that is null", history, null!);
        AssertRefused("one with 0 ItemKeys; expected one of each of Item, Brand", history, With(itemKeys: []));
        Assert.Contains("room for 1 scores, got 2", Assert.Throws<ArgumentException>(() => scorer.Score(history, [candidate], new float[2])).Message);

        void AssertRefused(string message, CtrHistory history, CtrCandidate candidate)
            => Assert.Contains(message, Assert.Throws<ArgumentException>(() => scorer.Score(history, candidate)).Message);

        CtrCandidate With(int[]? itemKeys = null, int[][]? candidateKeys = null, int[][]? userKeys = null, float[]? numbers = null, long? timestamp = null) => new()
        {
            ItemKeys = itemKeys ?? candidate.ItemKeys,
            CandidateKeys = candidateKeys ?? candidate.CandidateKeys,
            UserKeys = userKeys ?? candidate.UserKeys,
            Numbers = numbers ?? candidate.Numbers,
            Timestamp = timestamp ?? candidate.Timestamp,
        };
    }

    [Fact]
    public void A_model_of_no_trainer_of_ours_is_refused()
        => Assert.Contains("has no CtrTransformer", Assert.Throws<ArgumentException>(() => CtrScorer.Of(TinyClicks.Keys(_mlContext).Fit(trained.TestView))).Message);

    [Fact]
    public void A_file_with_broken_bytes_is_refused_by_name()
    {
        string path = Path.GetTempFileName();
        _mlContext.Model.Save(trained.Model, trained.TestView.Schema, path);
        byte[] bytes = File.ReadAllBytes(path);
        bytes.AsSpan(0, bytes.Length / 2).Clear();
        File.WriteAllBytes(path, bytes);
        Assert.Contains(path, Assert.Throws<FormatException>(() => CtrScorer.Load(path)).Message);
        File.Delete(path);
    }

    [Fact]
    public void A_file_of_a_newer_version_is_refused_by_name_and_reason()
    {
        using var file = new ModelZip(_mlContext, trained.Model, trained.TestView.Schema);
        using (ZipArchive zip = ZipFile.Open(file.Path, ZipArchiveMode.Update))
            ModelZip.EditText("config.json", text => text.Replace("\"formatVersion\": 5", "\"formatVersion\": 9"))(zip);
        string message = Assert.Throws<FormatException>(() => CtrScorer.Load(file.Path)).Message;
        Assert.Contains(file.Path, message);
        Assert.Contains("version 9", message);
    }

    private static CtrHistory HistoryOf(CtrScorer scorer, TinyClicks.Row row)
    {
        string[][] values = [row.HistoryItem, row.HistoryKind, row.HistoryAction];
        return new CtrHistory(row.HistoryTimestamp, [.. values.Zip(scorer.HistoryColumnNames, (texts, column) => texts.Select(text => scorer.KeyOf(column, text)).ToArray())]);
    }

    private static CtrCandidate CandidateOf(CtrScorer scorer, TinyClicks.Row row, long? timestamp = null) => new()
    {
        ItemKeys = [scorer.KeyOf("Item", row.Item), scorer.KeyOf("Kind", row.Kind)],
        UserKeys = [[scorer.KeyOf("Gender", row.Gender)]],
        Numbers = [row.Price],
        Timestamp = timestamp ?? row.Timestamp,
    };
}
