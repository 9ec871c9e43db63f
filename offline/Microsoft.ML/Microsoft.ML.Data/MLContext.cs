using Microsoft.ML.Runtime;

namespace Microsoft.ML;

/// <summary>The common context of all ML.NET operations, and the way to find them.</summary>
public sealed class MLContext : IHostEnvironmentInternal, ICancelable
{
    private readonly HostEnvironment _env;

    public MLContext(int? seed = null)
    {
        _env = new HostEnvironment(seed, (source, message) =>
            Log?.Invoke(this, new LoggingEventArgs(message.Message, message.Kind, source)));
        Data = new DataOperationsCatalog(_env);
        Transforms = new TransformsCatalog(_env);
        Model = new ModelOperationsCatalog(_env);
        BinaryClassification = new BinaryClassificationCatalog(_env);
        Ranking = new RankingCatalog(_env);
    }

    /// <summary>Raised for every message of every channel.</summary>
    public event EventHandler<LoggingEventArgs> Log;

    public DataOperationsCatalog Data { get; }

    public TransformsCatalog Transforms { get; }

    public ModelOperationsCatalog Model { get; }

    public BinaryClassificationCatalog BinaryClassification { get; }

    public RankingCatalog Ranking { get; }

    public ComponentCatalog ComponentCatalog => _env.ComponentCatalog;

    /// <summary>The GPU to compute on; null for the CPU.</summary>
    public int? GpuDeviceId
    {
        get => _env.GpuDeviceId;
        set => _env.GpuDeviceId = value;
    }

    /// <summary>Whether to compute on the CPU if the GPU fails.</summary>
    public bool FallbackToCpu
    {
        get => _env.FallbackToCpu;
        set => _env.FallbackToCpu = value;
    }

    public string TempFilePath
    {
        get => _env.TempFilePath;
        set => _env.TempFilePath = value;
    }

    int? IHostEnvironmentInternal.Seed => _env.Seed;

    bool ICancelable.IsCanceled => _env.IsCanceled;

    string IExceptionContext.ContextDescription => _env.ContextDescription;

    internal void CancelExecution() => _env.CancelExecution();

    void ICancelable.CancelExecution() => CancelExecution();

    IHost IHostEnvironment.Register(string name, int? seed, bool? verbose) => _env.Register(name, seed, verbose);

    IChannel IChannelProvider.Start(string name) => _env.Start(name);

    IPipe<TMessage> IChannelProvider.StartPipe<TMessage>(string name) => _env.StartPipe<TMessage>(name);

    IProgressChannel IProgressChannelProvider.StartProgressChannel(string name) => _env.StartProgressChannel(name);

    TException IExceptionContext.Process<TException>(TException ex) => _env.Process(ex);
}
