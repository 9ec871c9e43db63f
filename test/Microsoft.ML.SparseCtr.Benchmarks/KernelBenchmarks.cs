using System.Numerics;
using System.Runtime.InteropServices;
using BenchmarkDotNet.Attributes;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Exporters;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Loggers;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using Perfolizer.Horology;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr.Benchmarks;

/// <summary>The code that training spends its time in, piece by piece, by BenchmarkDotNet.</summary>
internal static class KernelBenchmarks
{
    public static void Run()
    {
        // In this process: a project that BenchmarkDotNet writes and builds would know nothing of the two builds of this repository.
        Job job = Job.ShortRun.WithToolchain(InProcessEmitToolchain.Instance).WithIterationTime(TimeInterval.FromMilliseconds(200));
        IConfig config = ManualConfig.CreateEmpty().AddJob(job).AddLogger(NullLogger.Instance).AddColumnProvider(DefaultColumnProviders.Instance)
            .WithArtifactsPath(Path.Combine("artifacts", "benchmarkdotnet")).WithOptions(ConfigOptions.DisableLogFile);
        Type[] types =
        [
            typeof(AttentionKernelBenchmark), typeof(SmallMatrixBenchmark), typeof(RowwiseAdamWBenchmark), typeof(TimeChunkingBenchmark),
            typeof(RetrievalBenchmark),
        ];
        foreach (Type type in types)
        {
            Summary summary = BenchmarkRunner.Run(type, config);
            MarkdownExporter.Console.ExportToLog(summary, ConsoleLogger.Default);
            if (summary.HasCriticalValidationErrors || summary.Reports.Any(report => !report.Success))
                throw new InvalidDataException($"{type.Name} failed.");
        }
    }
}

/// <summary>EvoAttention without its projections, on the sizes of <see cref="BenchmarkRequests"/> and as many threads as there are processors.</summary>
public unsafe class AttentionKernelBenchmark
{
    private readonly SparseCtrTrainer.Options _sizes = BenchmarkRequests.Sizes;
    private readonly Random _random = new(1);
    private EvoAttentionPlan? _plan;
    private float* _queriesAndGates, _keysAndValues, _coefficients, _output, _queriesAndGatesGradient, _keysAndValuesGradient, _coefficientGradient;

    [Params(512, 2_048, 8_192)]
    public int Tokens { get; set; }

    [GlobalSetup]
    public void SetUp()
    {
        _plan = BenchmarkRequests.PlanOf(BenchmarkRequests.Batch(Tokens, 1));
        int d = _sizes.ModelDimension, gates = EvoAttentionLayout.Branches * _sizes.NumberOfHeads, coefficients = 3 * _sizes.NumberOfHeads;
        _queriesAndGates = Numbers(Tokens * (d + gates));
        _keysAndValues = Numbers(Tokens * 2 * d);
        _coefficients = Numbers(coefficients);
        _output = Numbers(Tokens * d);
        _queriesAndGatesGradient = Numbers(Tokens * (d + gates));
        _keysAndValuesGradient = Numbers(Tokens * 2 * d);
        _coefficientGradient = Numbers(coefficients);
    }

    [Benchmark]
    public void Forward() => Run(isBackward: false);

    [Benchmark]
    public void Backward() => Run(isBackward: true);

    private void Run(bool isBackward) => new EvoAttentionKernel
    {
        Plan = _plan!,
        CandidatesOnly = false,
        Heads = _sizes.NumberOfHeads,
        HeadDimension = _sizes.ModelDimension / _sizes.NumberOfHeads,
        QueriesAndGates = _queriesAndGates,
        KeysAndValues = _keysAndValues,
        Coefficients = _coefficients,
        Output = isBackward ? null : _output,
        // Any numbers do.
        OutputGradient = isBackward ? _output : null,
        QueriesAndGatesGradient = _queriesAndGatesGradient,
        KeysAndValuesGradient = _keysAndValuesGradient,
        CoefficientGradient = _coefficientGradient,
    }.Run();

    private float* Numbers(int count)
    {
        var memory = (float*)NativeMemory.AlignedAlloc((nuint)count * sizeof(float), 64);
        for (int i = 0; i < count; i++)
            memory[i] = _random.NextSingle();
        return memory;
    }
}

/// <summary>The kernel's product of small matrices: of a tile's queries with transposed keys, and of its weights with values.</summary>
public unsafe class SmallMatrixBenchmark
{
    private const int Rows = 8;

    private float* _memory;

    [Params(16, 64)]
    public int K { get; set; }

    [Params(16, 64)]
    public int Columns { get; set; }

    [GlobalSetup]
    public void SetUp()
    {
        nuint bytes = (nuint)(Rows * K + K * Columns + Rows * Columns) * sizeof(float);
        _memory = (float*)NativeMemory.AlignedAlloc(bytes, 64);
        NativeMemory.Clear(_memory, bytes);
    }

    [GlobalCleanup]
    public void CleanUp() => NativeMemory.AlignedFree(_memory);

    [Benchmark]
    public void MultiplyAdd()
    {
        float* b = _memory + Rows * K, c = b + K * Columns;
        SmallMatrix.MultiplyAdd(Rows, K, Columns, _memory, (nint)K, 1, b, Columns, c, Columns);
    }
}

/// <summary>What a step costs a table of embeddings: rows are looked up, their gradients collected and they are updated.</summary>
public class RowwiseAdamWBenchmark
{
    private const int TableRows = 100_000, Dimension = 16;

    private readonly RowwiseAdamW _rule = new(new AdamWRule(0.9, 0.99, 1e-8), 0.01);
    private RowwiseOptimizer? _optimizer;
    private Tensor? _rows, _gradient;

    [Params(1_024, 16_384)]
    public int LookedUp { get; set; }

    [GlobalSetup]
    public void SetUp()
    {
        manual_seed(1);
        _optimizer = RowwiseOptimizer.Create(new EmbeddingTable(TableRows, Dimension, 0, 0.1), _rule);
        _rows = randint(TableRows, LookedUp);
        _gradient = randn(LookedUp, Dimension);
    }

    [Benchmark]
    public void Step()
    {
        using DisposeScope scope = NewDisposeScope();
        _optimizer!.Look(_rows!).backward([_gradient!]);
        _optimizer.CollectGradients();
        _rule.BeginStep(1e-3);
        _optimizer.Update(1);
    }
}

/// <summary>The chunks of a history.</summary>
public class TimeChunkingBenchmark
{
    private long[] _times = [];
    private int[] _chunkOfEvent = [];

    [Params(200, 1_024, 16_384)]
    public int Events { get; set; }

    [GlobalSetup]
    public void SetUp()
    {
        _times = BenchmarkRequests.Random(Events, seed: 1).HistoryTimestamps;
        _chunkOfEvent = new int[Events];
    }

    [Benchmark]
    public int LargestGaps() => TimeChunking.LargestGaps(_times, BenchmarkRequests.Sizes.NumberOfChunks, _chunkOfEvent);
}

/// <summary>The 48 events of a history that are nearest to each of a request's candidates, by fingerprints of 64 bits and without.</summary>
public unsafe class RetrievalBenchmark
{
    private const int Candidates = 100, Events = 10_000, Dimension = 64, Wanted = 48;

    private readonly SimHash _hash = new(Dimension, words: 1, seed: 1);
    private readonly float[] _candidates = new float[Candidates * Dimension], _events = new float[Events * Dimension], _products = new float[Events];
    private readonly ulong[] _candidateFingerprints = new ulong[Candidates], _eventFingerprints = new ulong[Events];
    private readonly int[] _distances = new int[Events], _places = new int[Events], _nearest = new int[Wanted];

    [GlobalSetup]
    public void SetUp()
    {
        var random = new Random(1);
        foreach (float[] embeddings in new[] { _candidates, _events })
            foreach (ref float component in embeddings.AsSpan())
                component = 2 * random.NextSingle() - 1;
        _hash.Fingerprint(_candidates, _candidateFingerprints);
        FingerprintEvents();
    }

    [Benchmark]
    public void FingerprintEvents() => _hash.Fingerprint(_events, _eventFingerprints);

    [Benchmark(Baseline = true)]
    public void Nearest()
    {
        for (int candidate = 0; candidate < Candidates; candidate++)
            HammingSearch.Nearest(_candidateFingerprints.AsSpan(candidate, 1), _eventFingerprints, Wanted, _nearest);
    }

    [Benchmark]
    public void NearestBySorting()
    {
        foreach (ulong candidate in _candidateFingerprints)
        {
            for (int i = 0; i < Events; i++)
                (_distances[i], _places[i]) = (BitOperations.PopCount(candidate ^ _eventFingerprints[i]), i);
            Array.Sort(_distances, _places);
        }
    }

    /// <summary>Without the selection of the largest.</summary>
    [Benchmark]
    public void DotProducts()
    {
        fixed (float* candidates = _candidates, events = _events)
            for (int candidate = 0; candidate < Candidates; candidate++)
                for (int i = 0; i < Events; i++)
                    _products[i] = SmallMatrix.Dot(candidates + candidate * Dimension, events + i * Dimension, Dimension);
    }
}
