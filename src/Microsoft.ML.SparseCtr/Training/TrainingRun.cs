using System.Diagnostics;
using System.Text.Json.Nodes;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.SparseCtr.Interop;
using TorchSharp;
using TorchSharp.Modules;
using static System.FormattableString;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>One training, from the first look at the data to the best weights.</summary>
/// <param name="host">Whose training it is.</param>
/// <param name="channel">What users read of it.</param>
/// <param name="untrained">The network's inputs, and the options.</param>
/// <param name="askedSeed">The seed; null for any.</param>
/// <param name="device">Where it computes.</param>
/// <param name="progress">Told of every step and epoch.</param>
/// <param name="trial">The trial of a sweep that it is a part of; null for none.</param>
/// <param name="checkpoint">What it goes on from after an interruption; null to begin anew then.</param>
/// <param name="cancellationToken">Ends it.</param>
internal sealed class TrainingRun(
    IHost host, IChannel channel, CtrConfig untrained, int? askedSeed, Device device, IProgress<TrainingProgress>? progress, RunningTrial? trial,
    Checkpoint? checkpoint, CancellationToken cancellationToken)
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
        JsonObject training = Checkpoint.Describe(summary, askedSeed, validationData is not null);
        int? begunWith = checkpoint?.FindSeed(training);
        int seed = begunWith ?? askedSeed ?? Random.Shared.Next();
        manual_seed(seed);

        CtrNetwork network = _options.CreateNetwork(summary.Config);
        try
        {
            network.to(device);
            var random = new SeededRandom(seed);
            using var state = new TrainingState(network, _options, random);
            if (begunWith is not null)
                GoOn(state);
            IEnumerable<Request> requests = reader.Read(trainData, random: random, isWanted: timestamp => !summary.IsHeldOut(timestamp));
            Train(network, state, summary, () => Batches(requests, network, random, state.Step), validation, () => checkpoint?.Save(training, seed, state.Carry));
            return network;
        }
        catch
        {
            network.Dispose();
            throw;
        }
    }

    private void GoOn(TrainingState state)
    {
        checkpoint!.Restore(state.Carry);
        if (trial is not null)
            trial.TimeBefore += state.Elapsed;
        channel.Info(MessageSensitivity.None, $"Goes on from a checkpoint: {state.Epochs.Count} epochs and {state.Step} steps have been done.");
    }

    private void Train(
        CtrNetwork network, TrainingState state, DataSummary summary, Func<IEnumerable<List<PackedBatch>>> batches, IEnumerable<Request>? validation, Action save)
    {
        int stepsPerEpoch = (int)((summary.TrainingRequests + _options.BatchSize - 1) / _options.BatchSize);
        var schedule = new LearningRateSchedule(_options.LearningRate, _options.WarmupFraction, (long)stepsPerEpoch * _options.NumberOfEpochs);
        using IProgressChannel progressChannel = host.StartProgressChannel("Training");
        progressChannel.SetHeader(new ProgressHeader(["loss", "validation AUC"], ["epochs"]), _ => { });

        for (int epoch = 1; epoch <= _options.NumberOfEpochs; epoch++)
        {
            // Epochs that a checkpoint brought back have ended, and nothing is left of them but whether they were the last.
            if (epoch > state.Epochs.Count)
            {
                TrainingProgress done = TrainEpoch(network, state, schedule, batches(), epoch, stepsPerEpoch, save);
                state.Optimizer.CompleteTables();
                // The loss of a step is that of the weights before it: after the last one, no loss would tell.
                if (!AreFinite(network))
                    throw Diverged(Invariant($"weights are no numbers any more after epoch {epoch}"));

                double? auc = validation is null ? null : ValidationAuc(network, validation);
                bool isBest = state.Best.Offer(auc ?? epoch, epoch);
                done = done with { EpochCompleted = true, ValidationAuc = auc, IsBest = isBest };
                state.EndEpoch(done);
                progress?.Report(done);
                progressChannel.Checkpoint(done.Loss, auc, epoch);
                channel.Info(MessageSensitivity.None, Describe(done));
                save();
            }
            if (ReasonToStop(state.Epochs[epoch - 1], state.Best.Epoch) is { } reason)
            {
                channel.Info(MessageSensitivity.None, $"Stopped early: {reason}.");
                break;
            }
        }

        state.Best.Restore();
        network.to(CPU);
        network.eval();
    }

    private static bool AreFinite(CtrNetwork network)
    {
        using IDisposable noGradient = no_grad();
        using DisposeScope scope = NewDisposeScope();
        // A sum is finite only if all that is summed is.
        return network.parameters().All(weights => float.IsFinite(weights.sum().item<float>()));
    }

    private string? ReasonToStop(TrainingProgress done, int bestEpoch)
        => trial?.Rule.IsHopeless(done) == true ? "at this epoch, the sweep's other trials were better"
        : done.Epoch - bestEpoch >= _options.EarlyStoppingPatience ? $"no better validation AUC for {_options.EarlyStoppingPatience} epochs"
        : null;

    /// <summary>
    /// The requests of an epoch in random order, each batch packed in as many parts as pass through the network at once. The first of them may have been trained on
    /// before an interruption: they are read and packed again, as that draws random numbers, and dropped.
    /// </summary>
    private IEnumerable<List<PackedBatch>> Batches(IEnumerable<Request> requests, CtrNetwork network, Random random, int trained)
    {
        bool areShared = _options.RequestsPerHistory > 1;
        IEnumerable<Request> shuffled = areShared
            ? requests.ShuffleInRuns(_options.ShufflePoolSize, _options.RequestsPerHistory, random)
            : requests.Shuffle(_options.ShufflePoolSize, random);
        foreach (Request[] batch in shuffled.Chunk(_options.BatchSize))
        {
            List<PackedBatch> packed = (areShared ? batch.JoinRuns(_options.RequestsPerHistory) : batch).InPasses()
                .Select(part => PackedBatch.Create(part, network, device, isDropped: () => random.NextDouble() < _options.ItemDropout)).ToList();
            if (trained-- <= 0)
            {
                yield return packed;
                continue;
            }
            packed.ForEach(part => part.Dispose());
            CheckCanceled();
        }
    }

    private TrainingProgress TrainEpoch(
        CtrNetwork network, TrainingState state, LearningRateSchedule schedule, IEnumerable<List<PackedBatch>> batches, int epoch, int stepsPerEpoch, Action save)
    {
        network.train();
        Stopwatch clock = Stopwatch.StartNew(), sinceSaved = Stopwatch.StartNew();
        long rowsBefore = state.Rows;
        TrainingProgress done = Progress();
        foreach (List<PackedBatch> batch in batches.OnItsOwnThread(BatchesAhead, unread => unread.ForEach(part => part.Dispose())))
        {
            CheckCanceled();
            double lossSum = Step(network, state.Optimizer, schedule.At((long)(epoch - 1) * stepsPerEpoch + state.Step), batch);
            state.EndStep(lossSum, batch.Sum(part => part.Plan.CandidateCount));
            if (!double.IsFinite(lossSum))
                throw Diverged(Invariant($"the loss became {lossSum} in epoch {epoch}, step {state.Step}"));
            progress?.Report(done = Progress());
            if (sinceSaved.Elapsed.TotalSeconds >= _options.CheckpointSeconds)
            {
                save();
                sinceSaved.Restart();
            }
        }
        return done;

        TrainingProgress Progress() => new(
            epoch, _options.NumberOfEpochs, state.Step, stepsPerEpoch, state.LossSum / state.Rows, (state.Rows - rowsBefore) / clock.Elapsed.TotalSeconds);
    }

    private InvalidOperationException Diverged(string what) => host.Process(new InvalidOperationException(
        Invariant($"Training diverged: {what}. Lower {nameof(_options.LearningRate)} ({_options.LearningRate}).")));

    /// <summary>One optimizer step; returns the sum of the rows' losses.</summary>
    private double Step(CtrNetwork network, NetworkOptimizer optimizer, double learningRate, List<PackedBatch> batch)
    {
        int rows = batch.Sum(part => part.Plan.CandidateCount);
        using DisposeScope step = NewDisposeScope();
        // TorchSharp gives no way to the state of a GPU's random numbers: they begin anew with one of the CPU's, whose state a checkpoint has.
        if (device.type == DeviceType.CUDA)
            cuda.manual_seed_all(randint(long.MaxValue, new long[] { 1 }).item<long>());
        optimizer.ClearGradients();
        try
        {
            foreach (PackedBatch part in batch)
            {
                using PackedBatch used = part;
                ChooseThreads(part);
                using DisposeScope scope = NewDisposeScope();
                optimizer.Backward(nn.functional.binary_cross_entropy_with_logits(network.forward(part), part.Labels, reduction: nn.Reduction.Sum) / rows);
            }
        }
        finally
        {
            batch.ForEach(part => part.Dispose());
        }
        return optimizer.Step(learningRate) * rows;
    }

    private double ValidationAuc(CtrNetwork network, IEnumerable<Request> requests)
    {
        network.eval();
        var scores = new List<float>();
        var labels = new List<bool>();
        using IDisposable noGradient = no_grad();
        IEnumerable<(List<Request>, PackedBatch)> batches = requests.InPasses().Select(part => (part, PackedBatch.Create(part, network, device)));
        foreach ((List<Request> part, PackedBatch batch) in batches.OnItsOwnThread(BatchesAhead, unread => unread.Item2.Dispose()))
        {
            CheckCanceled();
            using DisposeScope scope = NewDisposeScope();
            using PackedBatch used = batch;
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
    private int _epoch;

    /// <summary>The best epoch; 0 before the first.</summary>
    public int Epoch => _epoch;

    /// <summary>Keeps a copy if the metric beats all before it; an undefined metric (NaN) counts as better, so that the latest is kept.</summary>
    public bool Offer(double metric, int epoch)
    {
        if (metric <= _metric)
            return false;
        (_metric, _epoch) = (double.IsNaN(metric) ? _metric : metric, epoch);
        Keep();
        return true;
    }

    private void Keep()
    {
        using IDisposable noGradient = no_grad();
        foreach ((string name, Parameter value) in network.named_parameters())
        {
            if (_weights.TryGetValue(name, out Tensor? kept))
                kept.copy_(value);
            else
                _weights[name] = value.clone().DetachFromDisposeScope();
        }
    }

    /// <summary>Carries what is kept.</summary>
    public void Carry(StateStream stream)
    {
        stream.Carry(ref _metric);
        stream.Carry(ref _epoch);
        if (_epoch == 0)
            return;
        if (stream.IsReading)
            Keep();
        foreach ((string name, _) in network.named_parameters())
            stream.Carry(_weights[name]);
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
