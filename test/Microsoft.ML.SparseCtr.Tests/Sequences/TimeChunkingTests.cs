using FsCheck;
using FsCheck.Fluent;
using Microsoft.ML.Data;

namespace Microsoft.ML.SparseCtr.Tests;

public class TimeChunkingTests
{
    [Fact]
    public void The_longest_pauses_separate_the_chunks()
        => Assert.Equal([0, 0, 1, 1, 2], Chunks(maximum: 3, 0, 10, 500, 510, 2_000));

    [Fact]
    public void Of_equal_gaps_the_more_recent_is_the_boundary()
        => Assert.Equal([0, 0, 0, 1], Chunks(maximum: 2, 0, 10, 20, 30));

    [Fact]
    public void Events_of_one_second_can_be_cut_apart()
        => Assert.Equal([0, 0, 1, 2], Chunks(maximum: 3, 7, 7, 7, 7));

    [Fact]
    public void A_short_history_is_one_event_per_chunk()
        => Assert.Equal([0, 1, 2], Chunks(maximum: 16, 5, 5, 9));

    [Fact]
    public void One_event_is_one_chunk() => Assert.Equal([0], Chunks(maximum: 4, 123));

    [Fact]
    public void No_event_is_no_chunk()
    {
        Assert.Empty(Chunks(maximum: 4));
        Assert.Equal(0, TimeChunking.LargestGaps([], 4, []));
    }

    [Fact]
    public void One_chunk_holds_everything() => Assert.Equal([0, 0, 0], Chunks(maximum: 1, 0, 100, 100_000));

    [Fact]
    public void Times_that_go_back_are_refused()
        => Assert.Contains("event 1 is at 9, after 10", Assert.Throws<ArgumentException>(() => Chunks(2, 10, 9)).Message);

    [Fact]
    public void No_chunks_at_all_are_refused()
        => Assert.Throws<ArgumentOutOfRangeException>("maximumChunks", () => Chunks(0, 1, 2));

    [Fact]
    public void Every_boundary_is_at_least_as_long_a_pause_as_any_other_and_more_recent_where_equal()
        => Check.One(Config.QuickThrowOnFailure.WithMaxTest(500), Prop.ForAll(
            Gen.Choose(0, 20).ArrayOf().ToArbitrary(), Gen.Choose(1, 12).ToArbitrary(), (gaps, maximum) =>
            {
                long[] times = gaps.Aggregate(new List<long> { 0 }, (all, gap) => [.. all, all[^1] + gap]).ToArray();
                int[] chunks = Chunks(maximum, times);
                ILookup<bool, (int Gap, int Position)> byKind = gaps.Select((gap, i) => (gap, i)).ToLookup(pair => chunks[pair.i + 1] > chunks[pair.i]);

                Assert.Equal(Math.Min(maximum, times.Length) - 1, byKind[true].Count());
                Assert.All(byKind[true], boundary => Assert.All(byKind[false], other => Assert.True(boundary.CompareTo(other) > 0)));
            }));

    /// <summary>The two largest so far, for 5 chunks of 4 · 2 events.</summary>
    [Fact]
    public void A_causal_boundary_is_a_gap_that_is_among_the_largest_so_far()
    {
        Assert.Equal([0, 1, 2, 2, 3, 3], Causal(5, 9, 0, 10, 15, 18, 26, 32));
        Assert.Equal([0, 1, 2, 2, 2], Causal(5, 9, 0, 7, 14, 21, 28));
    }

    [Fact]
    public void Beyond_the_most_causal_chunks_the_oldest_are_one()
        => Assert.Equal([0, 0, 0, 1, 2], Causal(3, 4, 0, 10, 30, 70, 150));

    [Fact]
    public void Causal_chunks_of_a_history_of_full_length_are_about_as_many_as_wanted()
    {
        foreach ((int chunks, int length) in new[] { (16, 200), (32, 1_024), (8, 50), (64, 10_000) })
        {
            double[] counts = Enumerable.Range(0, 30).Select(seed =>
            {
                var random = new Random(seed);
                long time = 0;
                long[] times = Enumerable.Range(0, length).Select(_ => time += (long)Math.Exp(12 * random.NextDouble())).ToArray();
                return (double)TimeChunking.Unmerged(ChunkingPolicy.Causal, times, chunks, length, new int[length]);
            }).ToArray();
            Assert.InRange(counts.Average(), 0.75 * chunks, 1.1 * chunks);
        }
    }

    [Fact]
    public void No_later_event_moves_a_causal_boundary_and_there_are_never_too_many_chunks()
        => Check.One(Config.QuickThrowOnFailure.WithMaxTest(500), Prop.ForAll(
            Gen.Choose(0, 20).ArrayOf().ToArbitrary(), Gen.Choose(1, 12).ToArbitrary(), Gen.Choose(1, 40).ToArbitrary(), (gaps, maximum, length) =>
            {
                long[] times = gaps.Aggregate(new List<long> { 0 }, (all, gap) => [.. all, all[^1] + gap]).ToArray();
                var whole = new int[times.Length];
                TimeChunking.Unmerged(ChunkingPolicy.Causal, times, maximum, length, whole);
                for (int known = 0; known <= times.Length; known++)
                {
                    int[] chunks = Causal(maximum, length, times[..known]);
                    Assert.True(chunks.Length == 0 || chunks[^1] < maximum);
                    // Newer chunks are as they will ever be; older ones are merged.
                    int merged = known == 0 ? 0 : whole[known - 1] - chunks[^1];
                    Assert.Equal(whole[..known].Select(chunk => Math.Max(0, chunk - merged)), chunks);
                }
            }));

    [Fact]
    public void Causal_chunks_refuse_what_cannot_be_cut()
    {
        Assert.Contains("event 1 is at 9, after 10", Assert.Throws<ArgumentException>(() => Causal(2, 5, 10, 9)).Message);
        Assert.Throws<ArgumentOutOfRangeException>("maximumChunks", () => Causal(0, 5, 1, 2));
        Assert.Throws<ArgumentOutOfRangeException>("historyLength", () => Causal(2, 0, 1, 2));
        Assert.Throws<ArgumentException>("chunkOfEvent", () => TimeChunking.Causal([1, 2], 2, 5, new int[1]));
    }

    [Fact]
    public void Equal_chunks_have_as_many_events_each_as_make_P_of_a_full_history()
    {
        Assert.Equal([0, 0, 0, 1, 1, 1, 2, 2], EqualCounts(count: 8, maximum: 4, length: 12));
        Assert.Equal([0, 0, 1, 1, 2], EqualCounts(count: 5, maximum: 3, length: 5));
        Assert.Equal([0, 0, 0, 1, 1, 1, 2], EqualCounts(count: 7, maximum: 3, length: 5));
        Assert.Empty(EqualCounts(count: 0, maximum: 3, length: 5));
        Assert.Throws<ArgumentOutOfRangeException>("maximumChunks", () => EqualCounts(2, 0, 5));
        Assert.Throws<ArgumentOutOfRangeException>("historyLength", () => EqualCounts(2, 1, 0));
        Assert.Throws<ArgumentException>("chunkOfEvent", () => TimeChunking.EqualCounts([1, 2], 2, 5, new int[1]));
        Assert.Throws<ArgumentException>("timestamps", () => TimeChunking.EqualCounts([2, 1], 2, 5, new int[2]));
        Assert.Equal([0], EqualCounts(1, maximum: int.MaxValue, length: int.MaxValue));
    }

    [Fact]
    public void Equal_chunks_are_equal_but_the_last_one_and_never_too_many_and_do_not_depend_on_times()
        => Check.One(Config.QuickThrowOnFailure.WithMaxTest(500), Prop.ForAll(
            Gen.Choose(0, 20).ArrayOf().ToArbitrary(), Gen.Choose(1, 12).ToArbitrary(), Gen.Choose(1, 40).ToArbitrary(), (gaps, maximum, length) =>
            {
                long[] times = gaps.Aggregate(new List<long> { 0 }, (all, gap) => [.. all, all[^1] + gap]).ToArray();
                int[] chunks = EqualCounts(times.Length, maximum, length), byTimes = new int[times.Length];
                Assert.All(chunks.Zip(chunks.Skip(1)), pair => Assert.InRange(pair.Second - pair.First, 0, 1));
                Assert.InRange(chunks[^1], 0, maximum - 1);

                int[] sizes = chunks.CountBy(chunk => chunk).Select(chunk => chunk.Value).ToArray();
                Assert.All(sizes[..^1], size => Assert.Equal(sizes[0], size));
                Assert.InRange(sizes[^1], 1, sizes[0]);

                TimeChunking.Cut(ChunkingPolicy.EqualCounts, times, maximum, length, byTimes);
                Assert.Equal(chunks, byTimes);
                // Nothing that comes later moves a boundary of a history that is not too long.
                if (times.Length <= length)
                    Assert.All(Enumerable.Range(0, times.Length), known => Assert.Equal(chunks[..known], EqualCounts(known, maximum, length)));
            }));

    [Fact]
    public void A_file_of_version_1_names_no_policy_and_means_the_largest_gaps()
        => Assert.Equal(ChunkingPolicy.LargestGaps, TimeChunkingOptions.Parse(
            """{ "formatVersion": 1, "timeChunking": { "outputColumnName": "a", "inputColumnName": "b", "maximumChunks": 3 } }""").Policy);

    [Theory]
    [InlineData(ChunkingPolicy.LargestGaps, new[] { 0, 0, 0, 1, 2 })]
    [InlineData(ChunkingPolicy.Causal, new[] { 0, 0, 0, 1, 2 })]
    [InlineData(ChunkingPolicy.EqualCounts, new[] { 0, 0, 1, 1, 2 })]
    public void As_a_transform_it_cuts_by_any_policy(ChunkingPolicy policy, int[] chunks)
    {
        var mlContext = new MLContext(seed: 1);
        IDataView rows = mlContext.Data.LoadFromEnumerable(new[] { Row(0, 10, 30, 70, 150) });
        TimeChunkingEstimator estimator = mlContext.Transforms.TimeChunking(policy: policy, maximumChunks: 3, historyLength: 4);
        using var file = new ModelZip(mlContext, estimator.Fit(rows), rows.Schema);
        Assert.Equal([chunks], file.Load().Transform(rows).GetColumn<int[]>("HistoryChunk"));
    }

    [Fact]
    public void As_a_transform_it_refuses_a_policy_that_is_none()
        => Assert.Throws<ArgumentOutOfRangeException>("Policy", () => new MLContext().Transforms.TimeChunking(policy: (ChunkingPolicy)9));

    [Fact]
    public void As_a_transform_it_gives_each_row_the_chunks_of_its_history_and_is_saved_with_the_pipeline()
    {
        var mlContext = new MLContext(seed: 1);
        IDataView rows = mlContext.Data.LoadFromEnumerable(new[] { Row(0, 10, 500, 510, 2_000), Row(), Row(7, 7, 7, 7) });
        TimeChunkingEstimator estimator = mlContext.Transforms.TimeChunking(policy: ChunkingPolicy.LargestGaps, maximumChunks: 3);
        using var file = new ModelZip(mlContext, estimator.Fit(rows), rows.Schema);
        foreach (ITransformer transformer in new[] { estimator.Fit(rows), file.Load() })
            Assert.Equal([[0, 0, 1, 1, 2], [], [0, 0, 1, 2]], transformer.Transform(rows).GetColumn<int[]>("HistoryChunk"));
        Assert.Contains(estimator.GetOutputSchema(Interop.MLNetInternals.ShapeOf(rows.Schema)), column => column is { Name: "HistoryChunk", Kind: SchemaShape.Column.VectorKind.VariableVector });
    }

    [Fact]
    public void As_a_transform_it_names_the_row_whose_times_go_back()
    {
        var mlContext = new MLContext(seed: 1);
        IDataView rows = mlContext.Data.LoadFromEnumerable(new[] { Row(1, 2), Row(2, 1) });
        IDataView chunked = mlContext.Transforms.TimeChunking().Fit(rows).Transform(rows);
        Assert.Contains("Row 1: column 'HistoryTimestamp'", Assert.Throws<InvalidOperationException>(() => chunked.GetColumn<int[]>("HistoryChunk").ToArray()).Message);
        Assert.Contains("Could not find history timestamp column 'When'", Assert.Throws<ArgumentOutOfRangeException>(() => mlContext.Transforms.TimeChunking(inputColumnName: "When").Fit(rows)).Message);
    }

    private sealed class History
    {
        [VectorType]
        public long[] HistoryTimestamp { get; set; } = [];
    }

    private static History Row(params long[] times) => new() { HistoryTimestamp = times };

    private static int[] Chunks(int maximum, params long[] times)
    {
        var chunks = new int[times.Length];
        int count = TimeChunking.LargestGaps(times, maximum, chunks);
        Assert.Equal(times.Length == 0 ? 0 : chunks[^1] + 1, count);
        return chunks;
    }

    private static int[] EqualCounts(int count, int maximum, int length)
    {
        var chunks = new int[count];
        Assert.Equal(TimeChunking.EqualCounts(new long[count], maximum, length, chunks), count == 0 ? 0 : chunks[^1] + 1);
        return chunks;
    }

    private static int[] Causal(int maximum, int length, params long[] times)
    {
        var chunks = new int[times.Length];
        int count = TimeChunking.Causal(times, maximum, length, chunks);
        Assert.Equal(times.Length == 0 ? 0 : chunks[^1] + 1, count);
        return chunks;
    }
}
