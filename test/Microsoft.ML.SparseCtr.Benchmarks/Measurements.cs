using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr.Benchmarks;

/// <summary>
/// What the product is asked for in the comparison with PyTorch, in a process of its own (<see cref="MeasuredProcess"/>); pytorch/sparse_ctr.py
/// answers the same requests.
/// </summary>
internal sealed class Measurements
{
    /// <summary>The verb of the process that answers; for <see cref="MeasuredProcess"/> alone.</summary>
    public const string Verb = "measured";

    private readonly Dictionary<string, Action> _actions = [];
    private Request[] _requests = [];

    /// <summary>How training steps are made.</summary>
    public static SparseCtrTrainer.Options Options { get; } = new();

    public static void Run()
    {
        var measurements = new Measurements();
        while (Console.ReadLine() is string line)
            Console.WriteLine(JsonSerializer.Serialize(measurements.Answer(JsonNode.Parse(line)!)));
    }

    private object Answer(JsonNode request) => (string?)request["do"] switch
    {
        "products" => Products((double)request["seconds"]!, (int)request["threads"]!),
        "load" => Load((int)request["n"]!, (int)request["batch"]!, (int)request["threads"]!),
        "check" => Check(),
        "measure" => Measure((string)request["what"]!, (double)request["seconds"]!),
        "memory" => Memory((int)request["steps"]!),
        var other => throw new InvalidOperationException($"There is no request '{other}'."),
    };

    private static object Products(double seconds, int threads)
    {
        using var count = new ThreadCount(threads);
        using DisposeScope scope = NewDisposeScope();
        Tensor matrix = ones(512, 512);
        double milliseconds = Fastest(() => matrix.mm(matrix).Dispose(), seconds);
        string library = File.ReadLines("/proc/self/maps").Select(line => line.Split(' ')[^1])
            .FirstOrDefault(path => path.Contains("blas") || path.Contains("mkl")) ?? "";
        return new { gigaflops = 2 * Math.Pow(512, 3) / milliseconds / 1e6, library };
    }

    /// <summary>Takes the batch that is measured from now on.</summary>
    private object Load(int n, int batch, int threads)
    {
        // They hold for the whole process.
        _ = new ThreadCount(threads);
        manual_seed(1);
        _requests = BenchmarkRequests.Batch(n, batch);
        _actions.Clear();
        return new { };
    }

    /// <summary>
    /// A network with random weights, far from their initial values, and what it computes: the logits; and the first block's attention, of random
    /// tokens, with its gradient for a random gradient of what it puts out.
    /// </summary>
    private object Check()
    {
        using DisposeScope scope = NewDisposeScope();
        using CtrNetwork network = BenchmarkRequests.Sizes.CreateNetwork(BenchmarkRequests.Config);
        network.eval();
        using (no_grad())
        {
            foreach (Tensor parameter in network.parameters())
                parameter.normal_(0, 0.2);
        }
        using PackedBatch batch = PackedBatch.Create(_requests, network, CPU);
        Tensor tokens = randn(_requests.Length, batch.Plan.TokenCount / _requests.Length, BenchmarkRequests.Sizes.ModelDimension), gradient = randn_like(tokens);
        Tensor x = Packed(tokens).requires_grad_();
        Tensor attended = network.modules().OfType<EvoAttention>().First().forward(x, (EvoAttentionPlan)batch.Plan, false);
        attended.backward([Packed(gradient)]);
        return new
        {
            weights = network.named_parameters().ToDictionary(named => named.name, named => new { named.parameter.shape, values = Numbers(named.parameter) }),
            tokens = Numbers(tokens),
            gradient = Numbers(gradient),
            attended = Numbers(Unpacked(attended)),
            tokensGradient = Numbers(Unpacked(x.grad!)),
            logits = Numbers(network.forward(batch)),
        };

        static float[] Numbers(Tensor tensor) => tensor.detach().contiguous().data<float>().ToArray();

        // [requests, n, d] holds a request's candidate behind its behaviors; packed, all candidates are behind all behaviors.
        Tensor Packed(Tensor together)
        {
            long n = together.shape[1], d = together.shape[2];
            return cat([together.narrow(1, 0, n - 1).reshape(-1, d), together.narrow(1, n - 1, 1).reshape(-1, d)]).detach();
        }

        Tensor Unpacked(Tensor packed)
        {
            (long behaviors, long candidates, long d) = (batch.Plan.BehaviorCount, batch.Plan.CandidateCount, packed.shape[1]);
            return cat([packed.narrow(0, 0, behaviors).reshape(candidates, -1, d), packed.narrow(0, behaviors, candidates).reshape(candidates, 1, d)], 1);
        }
    }

    /// <summary>Milliseconds of the fastest of the repetitions that the given time has room for, after one that is not counted.</summary>
    private object Measure(string what, double seconds)
    {
        if (!_actions.TryGetValue(what, out Action? action))
        {
            _actions.Add(what, action = ActionOf(what));
            action();
        }
        return new { milliseconds = Fastest(action, seconds) };
    }

    /// <summary>Bytes that training steps take, at their peak, of what the process had before them.</summary>
    private object Memory(int steps)
    {
        Action step = TrainingStep();
        long before = Kilobytes("VmRSS");
        for (int i = 0; i < steps; i++)
            step();
        return new { bytes = 1024 * (Kilobytes("VmHWM") - before) };
    }

    private Action ActionOf(string what)
    {
        if (what == "training-step")
            return TrainingStep();
        var passes = new AttentionPasses(new EvoAttention(BenchmarkRequests.Sizes), BenchmarkRequests.PlanOf(_requests));
        return what == "attention-forward" ? passes.Forward : passes.ForwardAndBackward;
    }

    /// <summary>What <see cref="TrainingRun"/> does in a step, the packing of its batch included.</summary>
    private Action TrainingStep()
    {
        CtrNetwork network = BenchmarkRequests.Sizes.CreateNetwork(BenchmarkRequests.Config);
        network.train();
        var optimizer = new NetworkOptimizer(network, Options);
        var random = new Random(1);
        return () =>
        {
            optimizer.ClearGradients();
            foreach (List<Request> pass in _requests.InPasses())
            {
                using DisposeScope scope = NewDisposeScope();
                using PackedBatch batch = PackedBatch.Create(pass, network, CPU, isDropped: () => random.NextDouble() < Options.ItemDropout);
                optimizer.Backward(nn.functional.binary_cross_entropy_with_logits(network.forward(batch), batch.Labels, reduction: nn.Reduction.Sum) / _requests.Length);
            }
            optimizer.Step(Options.LearningRate);
        };
    }

    private static double Fastest(Action action, double seconds)
    {
        double fastest = double.PositiveInfinity;
        long begin = Stopwatch.GetTimestamp();
        do
        {
            long start = Stopwatch.GetTimestamp();
            action();
            fastest = Math.Min(fastest, Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        }
        while (Stopwatch.GetElapsedTime(begin).TotalSeconds < seconds);
        return fastest;
    }

    private static long Kilobytes(string name) => long.Parse(
        File.ReadLines("/proc/self/status").First(line => line.StartsWith(name, StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2]);
}
