using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.ML.Runtime;
using Microsoft.ML.SearchSpace;

namespace Microsoft.ML.AutoML;

/// <summary>
/// Tries points of a search space, one after the other. Tuner, runner and monitor are services that may demand in their constructors
/// each other, the settings, the data, the metric, the pipeline, a channel, and a context: each gets one of its own.
/// </summary>
public class AutoMLExperiment
{
    internal const string PipelineSearchspaceName = "_pipeline_";

    private readonly MLContext _context;
    private readonly AutoMLExperimentSettings _settings;
    private TimeSpan? _trainingTime;
    private int _maxModels = int.MaxValue;
    private CancellationToken _stop;
    private TrialResult _best;

    public AutoMLExperiment(MLContext context, AutoMLExperimentSettings settings)
    {
        _context = context;
        _settings = settings;
        _settings.Seed ??= ((IHostEnvironmentInternal)context).Seed;
        _settings.SearchSpace ??= new SearchSpace.SearchSpace();
        var logOfChildren = ((IChannelProvider)context).Start($"{nameof(AutoMLExperiment)}-ChildContext");
        ServiceCollection.AddTransient(_ => CreateChildContext(logOfChildren));
        ServiceCollection.AddSingleton(_settings);
        ServiceCollection.AddSingleton(((IChannelProvider)context).Start(nameof(AutoMLExperiment)));
    }

    internal IServiceCollection ServiceCollection { get; } = new ServiceCollection();

    public AutoMLExperiment SetTrainingTimeInSeconds(uint trainingTimeInSeconds)
    {
        _settings.MaxExperimentTimeInSeconds = trainingTimeInSeconds;
        _trainingTime = TimeSpan.FromSeconds(trainingTimeInSeconds);
        return this;
    }

    public AutoMLExperiment SetMaxModelToExplore(int maxModel)
    {
        _settings.MaxModels = _maxModels = maxModel;
        return this;
    }

    public AutoMLExperiment AddSearchSpace(string key, SearchSpace.SearchSpace searchSpace)
    {
        _settings.SearchSpace[key] = searchSpace;
        return this;
    }

    public AutoMLExperiment SetMonitor<TMonitor>(TMonitor monitor) where TMonitor : class, IMonitor =>
        With(services => services.AddSingleton<IMonitor>(monitor));

    public AutoMLExperiment SetMonitor<TMonitor>() where TMonitor : class, IMonitor =>
        With(services => services.AddSingleton<IMonitor, TMonitor>());

    public AutoMLExperiment SetMonitor<TMonitor>(Func<IServiceProvider, TMonitor> factory) where TMonitor : class, IMonitor =>
        With(services => services.AddSingleton<IMonitor>(factory));

    public AutoMLExperiment SetTrialRunner<TTrialRunner>(TTrialRunner runner) where TTrialRunner : class, ITrialRunner =>
        With(services => services.AddSingleton<ITrialRunner>(runner));

    public AutoMLExperiment SetTrialRunner<TTrialRunner>(Func<IServiceProvider, TTrialRunner> factory)
        where TTrialRunner : class, ITrialRunner =>
        With(services => services.AddTransient<ITrialRunner>(factory));

    public AutoMLExperiment SetTrialRunner<TTrialRunner>() where TTrialRunner : class, ITrialRunner =>
        With(services => services.AddTransient<ITrialRunner, TTrialRunner>());

    public AutoMLExperiment SetTuner<TTuner>(TTuner proposer) where TTuner : class, ITuner =>
        With(services => services.AddSingleton<ITuner>(_ => proposer));

    public AutoMLExperiment SetTuner<TTuner>(Func<IServiceProvider, TTuner> factory) where TTuner : class, ITuner =>
        With(services => services.AddSingleton<ITuner>(factory));

    public AutoMLExperiment SetTuner<TTuner>() where TTuner : class, ITuner =>
        With(services => services.AddSingleton<ITuner, TTuner>());

    internal AutoMLExperiment With(Action<IServiceCollection> add)
    {
        add(ServiceCollection); // where a service was added before, the new one is in its place
        return this;
    }

    /// <summary>As <see cref="RunAsync"/>, but that errors come in an <see cref="AggregateException"/>.</summary>
    public TrialResult Run() => RunAsync().Result;

    /// <summary>
    /// Runs trials until the time is over, the number of trials reached or <paramref name="ct"/> canceled, and returns the best one.
    /// The trial that runs at the end is canceled. An error before any trial has completed ends the experiment.
    /// </summary>
    public async Task<TrialResult> RunAsync(CancellationToken ct = default)
    {
        _settings.CancellationToken = ct;
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(ct);
        if (_trainingTime is { } time)
            stop.CancelAfter(time);
        _stop = stop.Token;

        var services = ServiceCollection.BuildServiceProvider();
        var channel = services.GetRequiredService<IChannel>();
        var monitor = services.GetService<IMonitor>();
        var tuner = services.GetRequiredService<ITuner>();
        for (int id = 0; id < _maxModels && !stop.IsCancellationRequested; id++)
        {
            var settings = new TrialSettings
            {
                TrialId = id,
                StartedAtUtc = DateTime.UtcNow,
                Parameter = Parameter.CreateNestedParameter(),
            };
            settings.Parameter = tuner.Propose(settings);
            monitor?.ReportRunningTrial(settings);
            try
            {
                using var runner = services.GetRequiredService<ITrialRunner>();
                channel.Trace(MessageSensitivity.Unknown, $"trial setting - {JsonSerializer.Serialize(settings)}");
                var result = await runner.RunAsync(settings, stop.Token).ConfigureAwait(false);
                settings.EndedAtUtc = DateTime.UtcNow;
                monitor?.ReportCompletedTrial(result);
                tuner.Update(result);
                if (result.Loss < (_best?.Loss ?? double.MaxValue))
                {
                    _best = result;
                    monitor?.ReportBestTrial(result);
                }
            }
            catch (Exception error)
            {
                settings.EndedAtUtc = DateTime.UtcNow;
                monitor?.ReportFailTrial(settings, error);
                tuner.Update(new TrialResult { TrialSettings = settings, Loss = double.MaxValue });
                if (_best is null && error is not OperationCanceledException)
                    throw;
            }
        }
        return _best ?? throw new TimeoutException("Training time finished without completing a successful trial. " +
            "Either no trial completed or the metric for all completed trials are NaN or Infinity");
    }

    private MLContext CreateChildContext(IChannel log)
    {
        var child = new MLContext(((IHostEnvironmentInternal)_context).Seed)
        {
            GpuDeviceId = _context.GpuDeviceId,
            FallbackToCpu = _context.FallbackToCpu,
            TempFilePath = _context.TempFilePath,
        };
        child.Log += (_, message) => log.Send(new ChannelMessage(message.Kind, MessageSensitivity.Unknown, message.Message));
        _stop.Register(child.CancelExecution);
        return child;
    }

    public class AutoMLExperimentSettings : ExperimentSettings
    {
        public int? Seed { get; set; }

        public SearchSpace.SearchSpace SearchSpace { get; set; }
    }
}
