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
/// <param name="device">Where it computes.</param>
/// <param name="precision">What it computes in.</param>
internal sealed class Measurements(Device device, Precision precision)
{
    /// <summary>The verb of the process that answers; for <see cref="MeasuredProcess"/> alone.</summary>
    public const string Verb = "measured";

    private const int CardElements = 1 << 28, CardMatrix = 8_192;
    private const double CardSeconds = 0.5;

    private readonly Dictionary<string, Action> _actions = [];
    private SparseCtrTrainer.Options _sizes = BenchmarkRequests.Sizes;
    private Request[] _requests = [];

    /// <summary>How training steps are made.</summary>
    public static SparseCtrTrainer.Options Options { get; } = new();

    public static void Run(string device, string precision)
    {
        var measurements = new Measurements(new Device(device), Precision.Named(precision));
        while (Console.ReadLine() is string line)
            Console.WriteLine(JsonSerializer.Serialize(measurements.Answer(JsonNode.Parse(line)!)));
    }

    private object Answer(JsonNode request) => (string?)request["do"] switch
    {
        "products" => Products((double)request["seconds"]!, (int)request["threads"]!),
        "card" => Card(),
        "load" => Load((int)request["n"]!, (int)request["batch"]!, (int)request["threads"]!, request["config"]!),
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

    /// <summary>What the card does in a second, in billions: the bytes that a large copy reads and writes, and the operations of a large matrix product by type.</summary>
    private object Card()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor from = zeros(CardElements, device: device), to = empty_like(from), matrix = rand(CardMatrix, CardMatrix, device: device);
        double bandwidth = 2.0 * sizeof(float) * CardElements / Milliseconds(() => to.copy_(from), CardSeconds) / 1e6;
        double float32 = ProductsOf(matrix), bfloat16 = ProductsOf(matrix.to(ScalarType.BFloat16));
        backends.cuda.matmul.allow_tf32 = true;
        double tf32 = ProductsOf(matrix);
        backends.cuda.matmul.allow_tf32 = false;
        return new { bandwidth, float32, tf32, bfloat16 };

        double ProductsOf(Tensor factor) => 2 * Math.Pow(CardMatrix, 3) / Milliseconds(() => factor.mm(factor).Dispose(), CardSeconds) / 1e6;
    }

    /// <summary>Takes the sizes, and the batch that is measured from now on.</summary>
    private object Load(int n, int batch, int threads, JsonNode config)
    {
        // They hold for the whole process.
        _ = new ThreadCount(threads);
        manual_seed(1);
        _sizes = precision.Applied(BenchmarkRequests.Sizes with { ModelDimension = (int)config["dimension"]!, FeedForwardDimension = (int)config["feedForward"]! });
        _requests = BenchmarkRequests.Batch(n, batch);
        _actions.Clear();
        // What was measured before gives back its tensors; on a GPU the process has its context from here on, before anyone looks at memory.
        GC.Collect();
        GC.WaitForPendingFinalizers();
        zeros(1, device: device).Dispose();
        return new { };
    }

    /// <summary>
    /// A network with random weights, far from their initial values, and what it computes: the logits; and the first block's attention, of random
    /// tokens, with its gradient for a random gradient of what it puts out.
    /// </summary>
    private object Check()
    {
        using DisposeScope scope = NewDisposeScope();
        using CtrNetwork network = CreateNetwork();
        network.eval();
        using (no_grad())
        {
            foreach (Tensor parameter in network.parameters())
                parameter.normal_(0, 0.2);
        }
        using PackedBatch batch = PackedBatch.Create(_requests, network, device);
        Tensor tokens = randn(_requests.Length, batch.Plan.TokenCount / _requests.Length, _sizes.ModelDimension, device: device), gradient = randn_like(tokens);
        Tensor x = Packed(tokens).requires_grad_();
        EvoAttention attention = network.modules().OfType<EvoAttention>().First();
        Tensor attended = attention.forward(x, (EvoAttentionPlan)batch.Plan, false);
        attended.backward([Packed(gradient)]);
        IEnumerable<Tensor> weightsGradient = attention.named_parameters().OrderBy(named => named.name, StringComparer.Ordinal)
            .Select(named => named.parameter.grad!.flatten());
        return new
        {
            weights = network.named_parameters().ToDictionary(named => named.name, named => new { named.parameter.shape, values = Numbers(named.parameter) }),
            tokens = Numbers(tokens),
            gradient = Numbers(gradient),
            attended = Numbers(Unpacked(attended)),
            tokensGradient = Numbers(Unpacked(x.grad!)),
            weightsGradient = Numbers(cat(weightsGradient.ToArray())),
            logits = Numbers(network.forward(batch)),
        };

        static float[] Numbers(Tensor tensor) => tensor.detach().to(ScalarType.Float32).cpu().contiguous().data<float>().ToArray();

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

    /// <summary>Milliseconds of a repetition, of those that the given time has room for, after one that is not counted.</summary>
    private object Measure(string what, double seconds)
    {
        if (what == FitSteps.Name)
            return new { milliseconds = FitSteps.Milliseconds(_requests, _sizes, device) };
        if (!_actions.TryGetValue(what, out Action? action))
        {
            _actions.Add(what, action = ActionOf(what));
            action();
        }
        return new { milliseconds = Milliseconds(action, seconds) };
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
        var passes = new AttentionPasses(new EvoAttention(_sizes).to(device), EvoAttentionPlan.Create(_requests, _sizes),
            // As the norm before it has it.
            _sizes.MixedPrecision && device.type == DeviceType.CUDA ? ScalarType.BFloat16 : ScalarType.Float32);
        return what == "attention-forward" ? passes.Forward : passes.ForwardAndBackward;
    }

    /// <summary>What <see cref="TrainingRun"/> does in a step, the packing of its batch included.</summary>
    private Action TrainingStep()
    {
        CtrNetwork network = CreateNetwork();
        network.train();
        var optimizer = new NetworkOptimizer(network, Options);
        var random = new Random(1);
        return () =>
        {
            optimizer.ClearGradients();
            foreach (List<Request> pass in _requests.InPasses())
            {
                using DisposeScope scope = NewDisposeScope();
                using PackedBatch batch = PackedBatch.Create(pass, network, device, isDropped: () => random.NextDouble() < Options.ItemDropout);
                optimizer.Backward(nn.functional.binary_cross_entropy_with_logits(network.forward(batch), batch.Labels, reduction: nn.Reduction.Sum) / _requests.Length);
            }
            optimizer.Step(Options.LearningRate);
        };
    }

    private CtrNetwork CreateNetwork() => _sizes.CreateNetwork(BenchmarkRequests.Config with { Options = _sizes }).to(device);

    /// <summary>
    /// Of a repetition: on the CPU of the fastest, as other programs only ever add; on a GPU, which computes while the next ones are prepared, on average.
    /// </summary>
    private double Milliseconds(Action action, double seconds) => device.type == DeviceType.CPU ? Fastest(action, seconds) : Average(action, seconds);

    private static double Average(Action action, double seconds)
    {
        action();
        cuda.synchronize();
        int repetitions = 0;
        long begin = Stopwatch.GetTimestamp();
        for (; Stopwatch.GetElapsedTime(begin).TotalSeconds < seconds; repetitions++)
            action();
        cuda.synchronize();
        return Stopwatch.GetElapsedTime(begin).TotalMilliseconds / repetitions;
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
