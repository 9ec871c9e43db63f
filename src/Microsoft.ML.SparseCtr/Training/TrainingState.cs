using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Serialization;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>What a training has come to between two of its steps: all that it takes to go on from there as if nothing had happened.</summary>
/// <param name="network">The network, on the device that it is trained on.</param>
/// <param name="options">How it is trained.</param>
/// <param name="random">What reading and packing draw from.</param>
internal sealed class TrainingState(CtrNetwork network, CtrTrainerOptions options, SeededRandom random) : IDisposable
{
    private static readonly JsonSerializerOptions s_json = new() { NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals };

    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private double _secondsBefore;

    // Batches are read and packed ahead of the training: where its random numbers are, only the beginning of an epoch can say.
    private int[] _randomAtStart = random.State;

    private int _step;
    private double _lossSum;
    private long _rows;

    public NetworkOptimizer Optimizer { get; } = new(network, options);

    public BestWeights Best { get; } = new(network);

    /// <summary>The epochs that have ended.</summary>
    public List<TrainingProgress> Epochs { get; private set; } = [];

    /// <summary>Steps done in the epoch that is under way.</summary>
    public int Step => _step;

    /// <summary>The sum of the losses of its rows.</summary>
    public double LossSum => _lossSum;

    /// <summary>The rows that they are of.</summary>
    public long Rows => _rows;

    /// <summary>How long the training has taken so far, without what an interruption lost.</summary>
    public TimeSpan Elapsed => TimeSpan.FromSeconds(_secondsBefore) + _clock.Elapsed;

    /// <summary>Counts a step of the epoch that is under way.</summary>
    public void EndStep(double lossSum, int rows)
    {
        _step++;
        _lossSum += lossSum;
        _rows += rows;
    }

    /// <summary>Ends the epoch that is under way; nothing is read meanwhile.</summary>
    public void EndEpoch(TrainingProgress done)
    {
        Epochs.Add(done);
        (_step, _lossSum, _rows, _randomAtStart) = (0, 0, 0, random.State);
    }

    /// <summary>Carries the state to a checkpoint, or back from one.</summary>
    public void Carry(StateStream stream)
    {
        double seconds = Elapsed.TotalSeconds;
        stream.Carry(ref seconds);
        byte[] epochs = JsonSerializer.SerializeToUtf8Bytes(Epochs, s_json);
        stream.Carry(ref epochs);
        stream.Carry(ref _step);
        stream.Carry(ref _lossSum);
        stream.Carry(ref _rows);
        stream.Carry(ref _randomAtStart);
        byte[] libTorch = LibTorchRandom;
        stream.Carry(ref libTorch);
        foreach (FusedDropout dropout in network.modules().OfType<FusedDropout>().Distinct())
            dropout.Carry(stream);
        foreach ((_, Parameter weight) in network.named_parameters())
            stream.Carry(weight);
        Optimizer.Carry(stream);
        Best.Carry(stream);
        if (!stream.IsReading)
            return;

        _secondsBefore = seconds;
        _clock.Restart();
        Epochs = JsonSerializer.Deserialize<List<TrainingProgress>>(epochs, s_json)!;
        random.State = _randomAtStart;
        LibTorchRandom = libTorch;
    }

    public void Dispose()
    {
        Best.Dispose();
        Optimizer.Dispose();
    }

    private static byte[] LibTorchRandom
    {
        get
        {
            using Tensor state = get_rng_state();
            return state.bytes.ToArray();
        }
        set
        {
            using Tensor state = tensor(value, dtype: ScalarType.Byte);
            set_rng_state(state);
        }
    }
}
