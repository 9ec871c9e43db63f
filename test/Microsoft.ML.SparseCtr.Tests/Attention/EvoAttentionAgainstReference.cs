using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>A faster attention against the reference in float64: outputs, and gradients of the input and of every weight.</summary>
public abstract class EvoAttentionAgainstReference
{
    /// <summary>How far outputs may be off, and gradients.</summary>
    protected virtual (double Value, double Gradient) Tolerance => (1e-5, 1e-4);

    /// <summary>Where it computes.</summary>
    private protected virtual Device Device => CPU;

    private protected static readonly SparseCtrTrainer.Options s_config = TestRequests.Sizes with { NumberOfChunks = 6, TransitionBehaviors = 2, LocalWindow = 9 };

    private protected static long Irregular(Random random) => random.Next(4) == 0 ? random.Next(200_000) : random.Next(60);

    private protected static EvoAttentionPlan Plan(SparseCtrTrainer.Options config, int[] events, int[] candidates, int seed = 1, Func<Random, long>? gap = null)
    {
        Request[] requests = events.Zip(candidates, (many, shown) => TestRequests.Request(many, shown, seed++, gap ?? Irregular)).ToArray();
        return EvoAttentionPlan.Create(requests, config);
    }

    [SkippableTheory]
    [InlineData(1, 1)]
    [InlineData(2, 3)]
    [InlineData(3, 5)]
    [InlineData(2, 8)]
    [InlineData(4, 16)]
    [InlineData(1, 20)]
    [InlineData(2, 33)]
    public void Equals_the_reference_for_any_heads(int heads, int headDimension)
        => AssertAsReference(
            s_config with { NumberOfHeads = heads, ModelDimension = heads * headDimension }, [0, 37, 1, 0, 5, 90, 2], [1, 2, 1, 9, 3, 1, 20]);

    [SkippableTheory]
    [InlineData(1, 1, 1)]
    [InlineData(1, 4, 200)]
    [InlineData(8, 3, 1)]
    [InlineData(3, 1, 7)]
    [InlineData(500, 5, 64)]
    [InlineData(32, 2, 64)]
    public void Equals_the_reference_for_any_chunks_and_window(int chunks, int transitions, int window)
        => AssertAsReference(s_config with { NumberOfChunks = chunks, TransitionBehaviors = transitions, LocalWindow = window }, [150, 0, 3, 64, 65], [2, 1, 1, 1, 8]);

    [SkippableFact]
    public void Equals_the_reference_where_nobody_has_a_history() => AssertAsReference(s_config, [0, 0], [1, 3]);

    [SkippableFact]
    public void Equals_the_reference_for_one_event() => AssertAsReference(s_config, [1], [1]);

    [SkippableFact]
    public void Equals_the_reference_where_all_events_fall_in_one_second() => AssertAsReference(s_config, [40, 7], [2, 1], gap: _ => 0);

    [SkippableFact]
    public void Equals_the_reference_where_all_gaps_are_equal() => AssertAsReference(s_config, [40, 7], [2, 1], gap: _ => 3_600);

    [SkippableFact]
    public void Equals_the_reference_for_a_thousand_candidates() => AssertAsReference(s_config, [50, 3], [1_000, 1]);

    [SkippableFact]
    public void Equals_the_reference_for_ten_thousand_events()
        => AssertAsReference(s_config with { NumberOfChunks = 32, LocalWindow = 64 }, [10_000, 30], [3, 1]);

    [SkippableTheory]
    [InlineData(200, true)]
    [InlineData(100, false)]
    public void Equals_the_reference_where_keys_are_mapped_by_column_and_where_not(int historyLength, bool isByColumn)
    {
        EvoAttentionPlan plan = Plan(s_config with { HistoryLength = historyLength }, [100, 0, 3, 20], [2, 1, 1, 4]);
        Assert.Equal(isByColumn, plan.HasFewColumns);
        AssertAsReference(s_config, plan, seed: 1);
    }

    [SkippableTheory]
    [InlineData(-60)]
    [InlineData(60)]
    public void Equals_the_reference_where_exponentials_of_logits_are_beyond_floats(double coefficient)
        => AssertAsReference(s_config, Plan(s_config, [40, 7, 0], [2, 1, 1], gap: _ => 0), seed: 1, coefficient);

    [SkippableFact]
    public void Equals_the_reference_on_random_ragged_batches()
    {
        var random = new Random(7);
        for (int trial = 0; trial < 10; trial++)
        {
            int heads = random.Next(1, 5), requests = random.Next(1, 7);
            SparseCtrTrainer.Options config = s_config with
            {
                NumberOfHeads = heads, ModelDimension = heads * random.Next(1, 20),
                NumberOfChunks = random.Next(1, 20), TransitionBehaviors = random.Next(1, 6), LocalWindow = random.Next(1, 40),
            };
            int[] events = Some(() => random.Next(3) == 0 ? random.Next(4) : random.Next(150)), candidates = Some(() => 1 + random.Next(12));
            AssertAsReference(config, events, candidates, seed: trial);

            int[] Some(Func<int> next) => Enumerable.Range(0, requests).Select(_ => next()).ToArray();
        }
    }

    [SkippableTheory]
    [InlineData(ChunkingPolicy.LargestGaps)]
    [InlineData(ChunkingPolicy.Causal)]
    [InlineData(ChunkingPolicy.EqualCounts)]
    public void Equals_the_reference_where_candidates_share_a_history_each_with_its_own_past(ChunkingPolicy policy)
    {
        var random = new Random(11);
        for (int trial = 0; trial < 10; trial++)
        {
            SparseCtrTrainer.Options config = s_config with
            {
                Chunking = policy, HistoryLength = random.Next(20, 300), NumberOfChunks = random.Next(1, 12),
                TransitionBehaviors = random.Next(1, 6), LocalWindow = random.Next(1, 40),
            };
            Request[] requests = Enumerable.Range(0, random.Next(1, 5)).Select(_ => RandomShared()).ToArray();
            AssertAsReference(config, EvoAttentionPlan.Create(requests, config), seed: trial);
        }

        Request RandomShared()
        {
            int events = random.Next(200);
            int[] pasts = Enumerable.Range(0, random.Next(1, 30)).Select(_ => random.Next(events + 1)).ToArray();
            return TestRequests.Shared(events, pasts, random.Next(), random.Next(3) == 0 ? _ => 0 : Irregular);
        }
    }

    private void AssertAsReference(SparseCtrTrainer.Options config, int[] events, int[] candidates, Func<Random, long>? gap = null, int seed = 1)
        => AssertAsReference(config, Plan(config, events, candidates, seed, gap), seed);

    private void AssertAsReference(SparseCtrTrainer.Options config, EvoAttentionPlan plan, int seed, double? coefficient = null)
    {
        foreach (bool candidatesOnly in new[] { false, true })
        {
            using DisposeScope scope = NewDisposeScope();
            Dictionary<string, Tensor> actual = Compute(config, plan, candidatesOnly, float32, seed, coefficient);
            Dictionary<string, Tensor> expected = Compute(config, plan, candidatesOnly, float64, seed, coefficient);
            foreach ((string name, Tensor values) in expected)
            {
                if (values.numel() == 0)
                    continue;
                double error = (actual[name].to(float64) - values).abs().max().item<double>(), size = values.abs().max().item<double>();
                double tolerance = name == "output" ? Tolerance.Value : Tolerance.Gradient;
                Assert.True(error <= tolerance * (size + 1e-2), $"{name}: off by {error} where values are up to {size}");
            }
        }
    }

    /// <summary>The output and all gradients, by weights and inputs that depend on the seed alone, but for RelTemporal's coefficients where they are given.</summary>
    private protected Dictionary<string, Tensor> Compute(
        SparseCtrTrainer.Options config, EvoAttentionPlan plan, bool candidatesOnly, ScalarType dtype, int seed = 1, double? coefficient = null)
    {
        manual_seed(seed);
        using var attention = new EvoAttention(config);
        using (no_grad())
        {
            Tensor coefficients = attention.get_parameter("temporal.coefficients")!.normal_(0, 0.5);
            if (coefficient is double given)
                coefficients.fill_(given);
        }
        Tensor x = randn(plan.TokenCount, config.ModelDimension);
        Tensor weights = randn(candidatesOnly ? plan.CandidateCount : plan.TokenCount, config.ModelDimension);
        Device device = dtype == float32 ? Device : CPU;
        attention.to(device, dtype);
        x = x.to(dtype, device).requires_grad_();

        Tensor output = attention.forward(x, plan, candidatesOnly);
        (output * weights.to(dtype, device)).sum().backward();

        var result = new Dictionary<string, Tensor> { ["output"] = output.detach().cpu(), ["gradient of the input"] = x.grad!.cpu() };
        foreach ((string name, Parameter parameter) in attention.named_parameters())
            result[$"gradient of {name}"] = parameter.grad!.to(CPU, copy: true);
        return result;
    }
}
