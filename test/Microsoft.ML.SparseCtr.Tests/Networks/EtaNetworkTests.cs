using System.Numerics;
using FsCheck;
using FsCheck.Fluent;
using TorchSharp;

namespace Microsoft.ML.SparseCtr.Tests;

public class EtaNetworkTests
{
    private static readonly EtaTrainer.Options s_options = (EtaTrainer.Options)TestRequests.Networks["Eta"];

    [Fact]
    public void Any_candidates_retrieve_what_sorting_their_pasts_by_fingerprints_gives()
        => Check.One(Config.QuickThrowOnFailure.WithMaxTest(60), Prop.ForAll(
            Gen.Choose(0, 60).Two().ToArbitrary(), Gen.Choose(1, 3).ToArbitrary(), ArbMap.Default.ArbFor<int>(), (eventsAndRetrieved, words, seed) =>
            {
                var random = new Random(seed);
                (int events, int retrieved) = eventsAndRetrieved;
                using EtaNetwork network = Network(s_options with { RetrievedBehaviors = retrieved + 1, FingerprintBits = 64 * words }, seed);
                AssertRetrieved(network, Shared(random, events), Shared(random, random.Next(4)), Shared(random, 2 * events));
            }));

    /// <summary>50 items and 5 brands make many ties among ten thousand events.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void Threads_retrieve_what_one_does_from_ten_thousand_events(int threads)
    {
        using var count = new ThreadCount(threads);
        using EtaNetwork network = Network(s_options with { RetrievedBehaviors = 48 });
        AssertRetrieved(network, TestRequests.Shared(10_000, [.. Enumerable.Range(0, 60).Select(i => 10_000 - i)]));
    }

    [Fact]
    public void The_candidates_own_item_is_retrieved_first_and_of_its_repetitions_the_latest()
    {
        using EtaNetwork network = Network(s_options);
        Request request = TestRequests.Request(40, 1);
        foreach (int place in new[] { 2, 11, 23, 30 })
            (request.HistoryKeys[0][place], request.HistoryKeys[1][place]) = (request.Impressions[0].SequenceKeys[0], request.Impressions[0].SequenceKeys[1]);
        Assert.Equal([11, 23, 30], Retrieve(network, request)[0]);
    }

    [Fact]
    public void Behaviors_that_are_not_seen_have_no_gradient_and_change_no_score()
    {
        using EtaNetwork network = Network(s_options with { RetrievedBehaviors = 2, LocalWindow = 2 });
        Request request = TestRequests.Request(20, 1);
        // An item of its own for each.
        for (int place = 0; place < 20; place++)
            request.HistoryKeys[0][place] = place + 1;
        request.Impressions[0].SequenceKeys[0] = 21;
        IEnumerable<int> seen = Retrieve(network, request)[0].Concat([18, 19]).Distinct();

        torch.Tensor gradient = TestRequests.Gradients(network, request)["sequence_tables.0.table.weight"];

        Assert.Equal(seen.Select(place => place + 1).Append(21).Order(), Enumerable.Range(0, 51).Where(row => gradient[row].abs().max().item<double>() > 0));
    }

    private static EtaNetwork Network(EtaTrainer.Options options, int seed = 1)
        => (EtaNetwork)TestRequests.Network(TestRequests.Config.With(options), seed, torch.ScalarType.Float32);

    private static Request Shared(Random random, int events)
        => TestRequests.Shared(events, [.. Enumerable.Range(0, random.Next(1, 5)).Select(_ => random.Next(events + 1))], random.Next());

    /// <summary>The behaviors that each candidate retrieves.</summary>
    private static int[][] Retrieve(EtaNetwork network, params Request[] requests)
    {
        using PackedBatch batch = PackedBatch.Create(requests, network, torch.CPU);
        SeenBehaviors retrieved = network.Retrieve(batch);
        return Enumerable.Range(0, batch.Plan.CandidateCount).Select(
            candidate => retrieved.Of(candidate).ToArray().Where(place => place != SeenBehaviors.None).ToArray()).ToArray();
    }

    private static void AssertRetrieved(EtaNetwork network, params Request[] requests)
    {
        var options = (EtaTrainer.Options)network.Config.Options;
        SimHash[] hashes = Enumerable.Range(0, 2).Select(field => new SimHash(options.EmbeddingDimension, options.FingerprintBits / 64, 210_804_468 + (ulong)field)).ToArray();
        float[][][] tables = network.Tables.Take(2).Select(
            table => table.DirectTable!.Weight.detach().data<float>().ToArray().Chunk(options.EmbeddingDimension).ToArray()).ToArray();

        var expected = new List<int[]>();
        int first = 0;
        foreach (Request request in requests)
        {
            ulong[][] behaviors = request.HistoryTimestamps.Select((_, place) => Fingerprint([request.HistoryKeys[0][place], request.HistoryKeys[1][place]])).ToArray();
            foreach (Impression impression in request.Impressions)
            {
                ulong[] candidate = Fingerprint(impression.SequenceKeys);
                expected.Add(Enumerable.Range(0, impression.PastLength)
                    .OrderBy(place => behaviors[place].Zip(candidate, (left, right) => BitOperations.PopCount(left ^ right)).Sum()).ThenByDescending(place => place)
                    .Take(options.RetrievedBehaviors).Order().Select(place => first + place).ToArray());
            }
            first += request.HistoryTimestamps.Length;
        }
        Assert.Equal(expected, Retrieve(network, requests));

        ulong[] Fingerprint(int[] keys) => hashes.SelectMany((hash, field) =>
        {
            var fingerprint = new ulong[hash.Words];
            hash.Fingerprint(tables[field][keys[field]], fingerprint);
            return fingerprint;
        }).ToArray();
    }
}
