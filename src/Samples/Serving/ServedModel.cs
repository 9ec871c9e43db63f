using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.ML.SparseCtr;

namespace SparseCtr.Samples;

/// <summary>A model in use, and the users' states, which are of this model alone.</summary>
internal sealed class ServedModel
{
    /// <exception cref="FormatException">The model was trained on other columns than the demo's.</exception>
    public ServedModel(CtrScorer scorer, ClickStore store, long cacheBytes, DateTime fileTime)
    {
        (Scorer, Features, States, FileTime) = (scorer, new ClickFeatures(scorer, store), new UserStateCache(cacheBytes), fileTime);
        // A model that cannot score what will be asked is found out here, before it replaces one that can.
        Scorer.Score(Scorer.Encode(Features.History([default])), Features.Candidates([0], userFacts: [], past: [], time: 1));
    }

    public CtrScorer Scorer { get; }

    public ClickFeatures Features { get; }

    public UserStateCache States { get; }

    /// <summary>When the file was written (UTC).</summary>
    public DateTime FileTime { get; }
}

/// <summary>
/// The model that is in use, and its file. When the file changes, the new model is loaded beside the old one and takes its place; who has begun
/// with the old one ends with it. A file that cannot be loaded leaves the old model in use.
/// </summary>
internal sealed class ModelFile : BackgroundService
{
    private static readonly TimeSpan s_pollInterval = TimeSpan.FromSeconds(1);

    private readonly ClickStore _store;
    private readonly long _cacheBytes;
    private readonly ILogger _logger;
    private readonly Lock _reloading = new();
    private volatile ServedModel _current;
    private volatile Stamp _tried;
    private long _evictionsBefore;

    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="FormatException">It is no model of the demo's pipeline.</exception>
    /// <exception cref="ArgumentException">It is no model of a trainer of this library.</exception>
    public ModelFile(string path, ClickStore store, long cacheBytes, ILogger logger)
    {
        (Path, _store, _cacheBytes, _logger) = (System.IO.Path.GetFullPath(path), store, cacheBytes, logger);
        _tried = Stamp.Of(Path);
        _current = Load(_tried);
    }

    public string Path { get; }

    public ServedModel Current => _current;

    /// <summary>Why the file could not be loaded when it was last tried; null where it could.</summary>
    public string? Problem { get; private set; }

    public long Reloads { get; private set; }

    public long FailedReloads { get; private set; }

    /// <summary>Of all models so far.</summary>
    public long Evictions => _evictionsBefore + _current.States.Evictions;

    /// <summary>Loads the file now.</summary>
    /// <returns>Whether that went well; otherwise <see cref="Problem"/> says why.</returns>
    public bool Reload()
    {
        lock (_reloading)
        {
            _tried = Stamp.Of(Path);
            try
            {
                ServedModel loaded = Load(_tried);
                _evictionsBefore += _current.States.Evictions;
                _current = loaded;
                Reloads++;
                Problem = null;
                return true;
            }
            // Whatever is in the file, the old model goes on.
            catch (Exception problem) when (problem is not OutOfMemoryException)
            {
                FailedReloads++;
                Problem = $"{Path} cannot be loaded: {problem.Message}";
                _logger.LogWarning("{Problem} (the model before it stays in use)", Problem);
                return false;
            }
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        Stamp last = _tried;
        using var timer = new PeriodicTimer(s_pollInterval);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            Stamp now = Stamp.Of(Path);
            // One that is still being written changes from look to look.
            if (now != _tried && now == last)
                Reload();
            last = now;
        }
    }

    private ServedModel Load(Stamp stamp) => new(CtrScorer.Load(Path), _store, _cacheBytes, stamp.Time);

    /// <summary>What tells one version of a file from another.</summary>
    private sealed record Stamp(DateTime Time, long Length)
    {
        public static Stamp Of(string path) => new FileInfo(path) is { Exists: true } file ? new(file.LastWriteTimeUtc, file.Length) : new(default, 0);
    }
}
