using System.Diagnostics;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>The fused attention on the CPU.</summary>
public class EvoAttentionKernelTests : EvoAttentionAgainstReference
{
    /// <summary>Set in a child process that has no vector instructions.</summary>
    private const string ChildVariable = "SPARSECTR_TEST_WITHOUT_VECTORS";

    [Fact]
    public void Results_are_the_same_bits_for_any_number_of_threads_and_under_load()
    {
        SparseCtrTrainer.Options config = s_config with { NumberOfHeads = 4, ModelDimension = 20, LocalWindow = 64 };
        EvoAttentionPlan plan = Plan(config, [900, 3, 200, 0, 60], [3, 1, 2, 1, 70]);
        Dictionary<string, Tensor> expected = WithThreads(1);
        AssertSameBits(expected, WithThreads(2));
        AssertSameBits(expected, WithThreads(7));
        Parallel.For(0, 4, _ => AssertSameBits(expected, Attend()));

        Dictionary<string, Tensor> WithThreads(int threads)
        {
            int before = ThreadCount.OfKernels;
            ThreadCount.OfKernels = threads;
            try
            {
                return Attend();
            }
            finally
            {
                ThreadCount.OfKernels = before;
            }
        }

        Dictionary<string, Tensor> Attend()
        {
            // Of the kernel alone: libtorch's products of matrices may differ with its own load.
            Tensor queriesAndGates = cat([Matrix(1, 20), Matrix(2, 12).sigmoid()], 1), keysAndValues = Matrix(3, 40), coefficients = Numbers(5, 12).reshape(4, 3);
            Tensor output = zeros(plan.TokenCount, 20);
            (Tensor Asked, Tensor Seen, Tensor Coefficients) gradients = (zeros_like(queriesAndGates), zeros_like(keysAndValues), zeros_like(coefficients));
            EvoAttentionFunction.Run(queriesAndGates, keysAndValues, coefficients, plan, false, output: output);
            EvoAttentionFunction.Run(queriesAndGates, keysAndValues, coefficients, plan, false, outputGradient: Matrix(6, 20), gradients: gradients);
            return new()
            {
                ["output"] = output, ["queries and gates"] = gradients.Asked, ["keys and values"] = gradients.Seen, ["coefficients"] = gradients.Coefficients,
            };
        }

        Tensor Matrix(int seed, int columns) => Numbers(seed, plan.TokenCount * columns).reshape(plan.TokenCount, columns);

        static Tensor Numbers(int seed, int count)
        {
            var random = new Random(seed);
            return tensor(Enumerable.Range(0, count).Select(_ => 2 * random.NextSingle() - 1).ToArray());
        }
    }

    private static void AssertSameBits(Dictionary<string, Tensor> expected, Dictionary<string, Tensor> actual)
    {
        foreach ((string name, Tensor values) in expected)
            Assert.True(values.equal(actual[name]).all().item<bool>(), name);
    }

    [Fact]
    public void A_thousand_calls_leave_no_memory_behind()
    {
        SparseCtrTrainer.Options config = s_config with { NumberOfHeads = 2, ModelDimension = 16 };
        EvoAttentionPlan plan = Plan(config, [60, 3, 200], [3, 1, 2]);
        for (int i = 0; i < 100; i++)
            Step();
        long managed = GC.GetTotalMemory(forceFullCollection: true), resident = Resident();
        for (int i = 0; i < 1_000; i++)
            Step();
        Assert.InRange(GC.GetTotalMemory(forceFullCollection: true) - managed, long.MinValue, 200_000);
        Assert.InRange(Resident() - resident, long.MinValue, 20_000_000);

        void Step()
        {
            using DisposeScope scope = NewDisposeScope();
            Compute(config, plan, candidatesOnly: false, float32);
        }

        static long Resident()
        {
            using var process = Process.GetCurrentProcess();
            return process.WorkingSet64;
        }
    }

    [Fact]
    public void The_trainers_option_of_the_reference_computes_the_same()
    {
        EvoAttentionPlan plan = Plan(s_config, [60, 3], [3, 1]);
        Assert.Equal(AttentionImplementation.Fused, new SparseCtrTrainer.Options().AttentionImplementation);
        manual_seed(1);
        using var fused = new EvoAttention(s_config with { AttentionImplementation = AttentionImplementation.Fused });
        manual_seed(1);
        using var reference = new EvoAttention(s_config with { AttentionImplementation = AttentionImplementation.Reference });
        Tensor x = randn(plan.TokenCount, s_config.ModelDimension);
        Tensor expected = reference.forward(x, plan, false), actual = fused.forward(x, plan, false);
        Assert.True(expected.allclose(actual, atol: 1e-5));
        Assert.False(expected.equal(actual).all().item<bool>());
    }

    [Fact]
    public void A_later_nan_reaches_no_earlier_query_of_another_request()
    {
        EvoAttentionPlan plan = Plan(s_config, [20, 20], [1, 1]);
        using var attention = new EvoAttention(s_config);
        Tensor x = randn(plan.TokenCount, s_config.ModelDimension);
        Tensor before = attention.forward(x, plan, false);
        Tensor broken = x.clone();
        broken[30] = full(s_config.ModelDimension, double.NaN);
        Tensor after = attention.forward(broken, plan, false);
        Assert.True(before.narrow(0, 0, 20).equal(after.narrow(0, 0, 20)).all().item<bool>());
        Assert.True(after[35].isnan().all().item<bool>());
        Assert.True(before.equal(attention.forward(x, plan, false)).all().item<bool>());
    }

    [SkippableTheory]
    [InlineData("DOTNET_EnableAVX2")]
    [InlineData("DOTNET_EnableHWIntrinsic")]
    public void Equals_the_reference_without_the_processors_vector_instructions(string switchedOff)
    {
        Skip.If(Environment.GetEnvironmentVariable(ChildVariable) is not null, "This is the child process.");
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (string argument in new[]
                 {
                     "vstest", typeof(EvoAttentionKernelTests).Assembly.Location,
                     "--TestCaseFilter:FullyQualifiedName~EvoAttentionKernelTests.Equals_the_reference_for_any",
                 })
            start.ArgumentList.Add(argument);
        start.Environment[switchedOff] = "0";
        start.Environment[ChildVariable] = "1";
        using Process child = Process.Start(start)!;
        Task<string> errors = child.StandardError.ReadToEndAsync();
        string log = child.StandardOutput.ReadToEnd() + errors.Result;
        child.WaitForExit();
        Assert.True(child.ExitCode == 0, log);
        Assert.Contains("Passed", log, StringComparison.Ordinal);
    }
}
