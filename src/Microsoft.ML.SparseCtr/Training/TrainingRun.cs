using System.Diagnostics;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.SparseCtr.Interop;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>One training, from the first look at the data to the best weights.</summary>
internal sealed class TrainingRun(
    IHost host, IChannel channel, CtrConfig untrained, int seed, Device device, IProgress<TrainingProgress>? progress, IEpochJudge? judge, CancellationToken cancellationToken)
{
    /// <summary>Batches that are read from the data and packed while the network computes.</summary>
    private const int BatchesAhead = 4;

    /// <summary>
    /// Multiplications in one product of a batch's tokens by d × d weights, below which two threads were no faster than one: of 512 tokens with d = 64
    /// (2 million) they were not, of 4,096 tokens (17 million) they were, by a sixth.
    /// </summary>
    private const long MultiplicationsWorthThreads = 8_000_000;

    private readonly CtrTrainerOptions _options = untrained.Options;

    /// <summary>The number of threads that the options or the environment ask for.</summary>
    private readonly int? _threadsAskedFor
        = untrained.Options.NumberOfThreads ?? (Environment.GetEnvironmentVariable("OMP_NUM_THREADS") is null ? null : get_num_threads());

    /// <returns>The network, on the CPU and in evaluation mode.</returns>
    public CtrNetwork Train(IDataView trainData, IDataView? validationData)
    {
        var reader = new RequestReader(untrained, _options.LabelColumnName, _options.RowGroupColumnName);
        double holdOut = validationData is null ? _options.ValidationFraction : 0;
        DataSummary summary = DataSummary.Of(reader, trainData, untrained, holdOut, CheckCanceled);
        if (summary.SkippedRows > 0)
            channel.Warning(MessageSensitivity.None, $"Skipped {summary.SkippedRows} rows with a missing label or number during training.");
        if (summary.TrainingRequests == 0)
            throw host.Process(new InvalidOperationException("Training set has 0 instances, aborting training."));
        IEnumerable<Request>? validation = validationData is not null ? reader.Read(validationData)
            : summary.HasHoldOut ? reader.Read(trainData, isWanted: summary.IsHeldOut)
            : null;
        validation = validation?.JoinByHistory(_options.ShufflePoolSize, _options.CanShareHistories);

        using var threads = new ThreadCount(_threadsAskedFor ?? Environment.ProcessorCount);
        manual_seed(seed);
        var random = new Random(seed);

        CtrNetwork network = _options.CreateNetwork(summary.Config);
        try
        {
            Train(network, reader, trainData, validation, summary, random);
            return network;
        }
        catch
        {
            network.Dispose();
            throw;
        }
    }

    private void Train(CtrNetwork network, RequestReader reader, IDataView trainData, IEnumerable<Request>? validation, DataSummary summary, Random random)
    {
        network.to(device);
        using var optimizer = new NetworkOptimizer(network, _options);
        int stepsPerEpoch = (int)((summary.TrainingRequests + _options.BatchSize - 1) / _options.BatchSize);
        var schedule = new LearningRateSchedule(_options.LearningRate, _options.WarmupFraction, (long)stepsPerEpoch * _options.NumberOfEpochs);
        using var best = new BestWeights(network);
        using IProgressChannel progressChannel = host.StartProgressChannel("Training");
        progressChannel.SetHeader(new ProgressHeader(["loss", "validation AUC"], ["epochs"]), _ => { });

        for (int epoch = 1; epoch <= _options.NumberOfEpochs; epoch++)
        {
            IEnumerable<Request> requests = reader.Read(trainData, random: random, isWanted: timestamp => !summary.IsHeldOut(timestamp));
            TrainingProgress done = TrainEpoch(network, optimizer, schedule, Batches(requests, network, random), epoch, stepsPerEpoch);
            optimizer.CompleteTables();

            double? auc = validation is null ? null : ValidationAuc(network, validation);
            bool isBest = best.Offer(auc ?? epoch, epoch);
            done = done with { EpochCompleted = true, ValidationAuc = auc, IsBest = isBest };
            progress?.Report(done);
            progressChannel.Checkpoint(done.Loss, auc, epoch);
            channel.Info(MessageSensitivity.None, Describe(done));
            if (epoch - best.Epoch >= _options.EarlyStoppingPatience)
            {
                channel.Info(MessageSensitivity.None, $"Stopped early: no better validation AUC for {_options.EarlyStoppingPatience} epochs.");
                break;
            }
            if (judge?.IsHopeless(done) == true)
            {
                channel.Info(MessageSensitivity.None, "Stopped early: at this epoch, the sweep's other trials were better.");
                break;
            }
        }

        best.Restore();
        network.to(CPU);
        network.eval();
    }

    /// <summary>The requests of an epoch in random order, each batch packed in as many parts as pass through the network at once.</summary>
    private IEnumerable<List<PackedBatch>> Batches(IEnumerable<Request> requests, CtrNetwork network, Random random)
    {
        bool areShared = _options.RequestsPerHistory > 1;
        IEnumerable<Request> shuffled = areShared
            ? requests.ShuffleInRuns(_options.ShufflePoolSize, _options.RequestsPerHistory, random)
            : requests.Shuffle(_options.ShufflePoolSize, random);
        foreach (Request[] batch in shuffled.Chunk(_options.BatchSize))
        {
            yield return (areShared ? batch.JoinRuns(_options.RequestsPerHistory) : batch).InPasses()
                .Select(part => PackedBatch.Create(part, network, device, isDropped: () => random.NextDouble() < _options.ItemDropout)).ToList();
        }
    }

    private TrainingProgress TrainEpoch(
        CtrNetwork network, NetworkOptimizer optimizer, LearningRateSchedule schedule, IEnumerable<List<PackedBatch>> batches, int epoch, int stepsPerEpoch)
    {
        network.train();
        var clock = Stopwatch.StartNew();
        double lossSum = 0;
        long rows = 0;
        int step = 0;
        var state = new TrainingProgress(epoch, _options.NumberOfEpochs, 0, stepsPerEpoch, double.NaN, 0);
        foreach (List<PackedBatch> batch in batches.OnItsOwnThread(BatchesAhead))
        {
            CheckCanceled();
            lossSum += Step(network, optimizer, schedule.At((long)(epoch - 1) * stepsPerEpoch + step), batch);
            rows += batch.Sum(part => part.Plan.CandidateCount);
            step++;
            if (!double.IsFinite(lossSum))
            {
                throw host.Process(new InvalidOperationException(
                    $"Training diverged: the loss became {lossSum} in epoch {epoch}, step {step}. Lower {nameof(_options.LearningRate)} ({_options.LearningRate})."));
            }
            state = state with { Step = step, Loss = lossSum / rows, RowsPerSecond = rows / clock.Elapsed.TotalSeconds };
            progress?.Report(state);
        }
        return state;
    }

    /// <summary>One optimizer step; returns the sum of the rows' losses.</summary>
    private double Step(CtrNetwork network, NetworkOptimizer optimizer, double learningRate, List<PackedBatch> batch)
    {
        int rows = batch.Sum(part => part.Plan.CandidateCount);
        double lossSum = 0;
        optimizer.ClearGradients();
        foreach (PackedBatch part in batch)
        {
            using PackedBatch used = part;
            ChooseThreads(part);
            using DisposeScope scope = NewDisposeScope();
            Tensor loss = nn.functional.binary_cross_entropy_with_logits(network.forward(part), part.Labels, reduction: nn.Reduction.Sum);
            optimizer.Backward(loss / rows);
            lossSum += loss.item<float>();
        }
        optimizer.Step(learningRate);
        return lossSum;
    }

    private double ValidationAuc(CtrNetwork network, IEnumerable<Request> requests)
    {
        network.eval();
        var scores = new List<float>();
        var labels = new List<bool>();
        using IDisposable noGradient = no_grad();
        foreach (List<Request> part in requests.InPasses().OnItsOwnThread(BatchesAhead))
        {
            CheckCanceled();
            using DisposeScope scope = NewDisposeScope();
            using PackedBatch batch = PackedBatch.Create(part, network, device);
            ChooseThreads(batch);
            scores.AddRange(network.forward(batch).cpu().data<float>().ToArray());
            labels.AddRange(part.SelectMany(request => request.Impressions).Select(impression => impression.Label == 1));
        }
        return RocCurve.Area(scores.ToArray(), labels.ToArray());
    }

    /// <summary>Computes a batch's products on all threads where they are worth it: those of small ones wait for each other longer than they compute.</summary>
    private void ChooseThreads(PackedBatch batch)
    {
        bool isSmall = (long)batch.Plan.TokenCount * _options.ModelDimension * _options.ModelDimension < MultiplicationsWorthThreads;
        ThreadCount.OfLibTorch = _threadsAskedFor ?? (isSmall ? 1 : Environment.ProcessorCount);
    }

    private void CheckCanceled()
    {
        cancellationToken.ThrowIfCancellationRequested();
        MLNetInternals.CheckAlive(host);
    }

    private static string Describe(TrainingProgress done)
    {
        string auc = done.ValidationAuc is double value ? FormattableString.Invariant($", validation AUC {value:F4}{(done.IsBest ? " (best)" : "")}") : "";
        return FormattableString.Invariant($"Epoch {done.Epoch}/{done.NumberOfEpochs}: loss {done.Loss:F4}{auc}, {done.RowsPerSecond:N0} rows/s");
    }
}

/// <summary>Rises linearly, then falls to zero along a half cosine.</summary>
internal sealed class LearningRateSchedule(double peak, double warmupFraction, long steps)
{
    private readonly double _warmup = Math.Max(1, warmupFraction * steps);

    public double At(long step) => step < _warmup
        ? peak * (step + 1) / (_warmup + 1)
        : peak * 0.5 * (1 + Math.Cos(Math.PI * (step - _warmup) / Math.Max(1, steps - _warmup)));
}

/// <summary>A copy of the weights of the best epoch.</summary>
internal sealed class BestWeights(CtrNetwork network) : IDisposable
{
    private readonly Dictionary<string, Tensor> _weights = [];
    private double _metric = double.NegativeInfinity;

    public int Epoch { get; private set; }

    /// <summary>Keeps a copy if the metric beats all before it; an undefined metric (NaN) counts as better, so that the latest is kept.</summary>
    public bool Offer(double metric, int epoch)
    {
        if (metric <= _metric)
            return false;
        (_metric, Epoch) = (double.IsNaN(metric) ? _metric : metric, epoch);
        using IDisposable noGradient = no_grad();
        foreach ((string name, Parameter value) in network.named_parameters())
        {
            if (_weights.TryGetValue(name, out Tensor? kept))
                kept.copy_(value);
            else
                _weights[name] = value.detach().clone().DetachFromDisposeScope();
        }
        return true;
    }

    public void Restore()
    {
        using IDisposable noGradient = no_grad();
        foreach ((string name, Parameter value) in network.named_parameters())
            value.copy_(_weights[name]);
    }

    public void Dispose()
    {
        foreach (Tensor kept in _weights.Values)
            kept.Dispose();
    }
}
