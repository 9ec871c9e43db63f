using System.Diagnostics;
using TorchSharp;
using static System.FormattableString;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr.Benchmarks;

/// <summary>EvoAttention, fused and in tensor operators, side by side, over lengths of history.</summary>
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
        using var count = new ThreadCount(threads);
        using DisposeScope scope = NewDisposeScope();
        manual_seed(1);
        using var attention = new EvoAttention(BenchmarkRequests.Sizes with { AttentionImplementation = implementation });
        EvoAttentionPlan plan = BenchmarkRequests.PlanOf(requests);
        // What the reference makes of the plan once per batch stays out of its time.
        if (implementation == AttentionImplementation.Reference)
            plan.LayoutFor(zeros(1));
        var passes = new AttentionPasses(attention, plan);
        // .NET optimizes what has run often.
        for (int i = 0; i < 5; i++)
        {
            passes.Forward();
            passes.ForwardAndBackward();
        }
        return new Times(Fastest(passes.Forward), Fastest(passes.ForwardAndBackward));
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
}
