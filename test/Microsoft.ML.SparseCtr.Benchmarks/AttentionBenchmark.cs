using System.Diagnostics;
using TorchSharp;
using TorchSharp.Modules;
using static System.FormattableString;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr.Benchmarks;

/// <summary>EvoAttention, fused and in tensor operators, side by side: the layer alone, over lengths of history, and a whole training step.</summary>
internal static class AttentionBenchmark
{
    private const int Tokens = 16_384;
    private const int Repetitions = 10;

    private sealed record Times(double Forward, double Both);

    public static void Run()
    {
        foreach (int threads in new[] { 1, 2 })
        {
            Console.WriteLine(Invariant($"attention layer, {threads} thread(s), d = 64, H = 4, P = 32, r = 2, w = 64, every token a query, {Tokens:N0} tokens; ")
                + Invariant($"ms, the fastest of {Repetitions}"));
            Console.WriteLine("       n  requests | forward: fused  reference  ratio | and backward: fused  reference  ratio | fused, µs per token");
            foreach (int length in new[] { 512, 1_024, 2_048, 4_096, 16_384 })
                Compare(length, threads);
        }
        Step();
    }

    private static void Compare(int length, int threads)
    {
        Request[] requests = BenchmarkRequests.Batch(length, Tokens / length);
        Times fused = Measure(AttentionImplementation.Fused, requests, threads), reference = Measure(AttentionImplementation.Reference, requests, threads);
        Console.WriteLine(Invariant($"{length,8:N0}  {requests.Length,8} | {fused.Forward,14:F1} {reference.Forward,10:F1} {reference.Forward / fused.Forward,5:F1}x | ")
            + Invariant($"{fused.Both,19:F1} {reference.Both,10:F1} {reference.Both / fused.Both,5:F1}x | {1e3 * fused.Both / Tokens,19:F2}"));
    }

    private static Times Measure(AttentionImplementation implementation, Request[] requests, int threads)
    {
        using var count = new ThreadCount(threads, threads);
        using DisposeScope scope = NewDisposeScope();
        manual_seed(1);
        using var attention = new EvoAttention(BenchmarkRequests.Sizes, implementation);
        EvoAttentionPlan plan = PlanOf(requests);
        Tensor x = randn(plan.TokenCount, BenchmarkRequests.Sizes.ModelDimension).requires_grad_(), gradient = randn_like(x);
        // .NET optimizes what has run often.
        for (int i = 0; i < 5; i++)
        {
            Forward();
            Both();
        }
        return new Times(Fastest(Forward), Fastest(Both));

        void Forward()
        {
            using DisposeScope inner = NewDisposeScope();
            using IDisposable noGradient = no_grad();
            attention.forward(x, plan, false);
        }

        void Both()
        {
            using DisposeScope inner = NewDisposeScope();
            // What the reference makes of the plan once per batch stays out of its time.
            attention.forward(x, plan, false).backward([gradient]);
        }

        EvoAttentionPlan PlanOf(Request[] all)
        {
            EvoAttentionPlan made = BenchmarkRequests.PlanOf(all);
            if (implementation == AttentionImplementation.Reference)
                made.LayoutFor(zeros(1));
            return made;
        }
    }

    /// <summary>Milliseconds of the fastest repetition: what other programs do on the machine only ever adds.</summary>
    private static double Fastest(Action action)
    {
        double fastest = double.PositiveInfinity;
        for (int i = 0; i < Repetitions; i++)
        {
            long start = Stopwatch.GetTimestamp();
            action();
            fastest = Math.Min(fastest, Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        }
        return fastest;
    }

    /// <summary>A batch of the default sizes: 64 requests with histories of up to 200 behaviors, one candidate each; packing included.</summary>
    private static void Step()
    {
        SparseCtrConfig config = BenchmarkRequests.Sizes with { ModelDimension = 32, NumberOfBlocks = 1, NumberOfChunks = 16, TransitionBehaviors = 4 };
        Request[] requests = Enumerable.Range(0, 64).Select(seed => BenchmarkRequests.Random(new Random(seed).Next(20, 201), seed)).ToArray();
        foreach (int threads in new[] { 1, 2 })
        {
            double[] rowsPerSecond = new[] { AttentionImplementation.Fused, AttentionImplementation.Reference }.Select(implementation =>
            {
                using var count = new ThreadCount(1, threads);
                using DisposeScope scope = NewDisposeScope();
                manual_seed(1);
                using var network = new SparseCtrNetwork(config, 0.1, 0.2, implementation);
                using AdamW optimizer = optim.AdamW(network.parameters(), 1e-3);
                for (int i = 0; i < 20; i++)
                    OneStep();
                return requests.Length / Fastest(() => { for (int i = 0; i < 10; i++) OneStep(); }) * 10 * 1e3;

                void OneStep()
                {
                    using DisposeScope inner = NewDisposeScope();
                    optimizer.zero_grad();
                    using PackedBatch batch = PackedBatch.Create(requests, config, CPU);
                    nn.functional.binary_cross_entropy_with_logits(network.forward(batch), batch.Labels).backward();
                    nn.utils.clip_grad_norm_(network.parameters(), 1);
                    optimizer.step();
                }
            }).ToArray();
            Console.WriteLine(Invariant($"training step of the default sizes, one block, histories of 20 to 200, attention with {threads} thread(s): ")
                + Invariant($"fused {rowsPerSecond[0]:N0} rows/s, reference {rowsPerSecond[1]:N0} rows/s, {rowsPerSecond[0] / rowsPerSecond[1]:F1}x"));
        }
    }
}
