using Microsoft.ML.Data;
using SparseCtr.Samples;

namespace Microsoft.ML.SparseCtr.Benchmarks;

/// <summary>A click log to compare models on: the latest rows are the test, as in the demo.</summary>
internal sealed class Dataset
{
    private readonly double _trainedShare;
    private readonly Lazy<UserBootstrap> _bootstrap;

    /// <param name="clicks">The log, and the options that were chosen for it.</param>
    /// <param name="trainedShare">The share of the rows before the test rows, the latest, to train on; histories and rates reach back over all.</param>
    public Dataset(ClickData clicks, double trainedShare = 1)
    {
        (Clicks, _trainedShare) = (clicks, trainedShare);
        IDataView test = Split(new MLContext(seed: 1)).Test;
        TestUsers = test.GetColumn<int>("User").ToArray();
        TestLabels = test.GetColumn<bool>("Label").ToArray();
        BestReachable = RocCurve.Area(test.GetColumn<float>("BestPrediction").ToArray(), TestLabels);
        LongestHistory = clicks.Rows.GroupBy(row => row.User).Max(rows => rows.Count(row => row.Timestamp < rows.Last().Timestamp));
        _bootstrap = new(() => new UserBootstrap(TestUsers, TestLabels));
    }

    public string Name => Clicks.Name;

    public ClickData Clicks { get; }

    public int[] TestUsers { get; }

    public bool[] TestLabels { get; }

    /// <summary>The test AUC of who knows how the clicks were made; NaN where no one does.</summary>
    public double BestReachable { get; }

    /// <summary>Events before the latest request of the user who has most of them.</summary>
    public int LongestHistory { get; }

    public UserBootstrap Bootstrap => _bootstrap.Value;

    /// <summary>In the order of the page. Users with more events are fewer, so that all have about as many rows to train on.</summary>
    public static Datasets Load(string? movieLensFolder)
    {
        return new Datasets(
            new Dataset(GeneratedData.Create() with { Name = "generated" }),
            movieLensFolder is null ? null : new Dataset(MovieLens.Load(movieLensFolder)),
            new Dataset(Longer("generated, 390 events", users: 300, pagesPerUser: 130, options => options.HistoryLength = 400)),
            new Dataset(Longer("generated, 2,400 events", users: 100, pagesPerUser: 800, options => options.NumberOfEpochs = 3), trainedShare: 0.25));
    }

    private static ClickData Longer(string name, int users, int pagesPerUser, Action<CtrTrainerOptions> tune)
    {
        ClickData data = GeneratedData.Create(users, pagesPerUser);
        return data with { Name = name, Tune = data.Tune + tune + ForLongHistories };

        static void ForLongHistories(CtrTrainerOptions options)
        {
            options.BatchSize = 64;
            // In the last block candidates alone ask: only before it does dense attention cost the square of the length.
            if (options is SelfAttentionOptions selfAttention)
                selfAttention.NumberOfBlocks = 2;
        }
    }

    public (IDataView Log, IDataView Train, IDataView Test) Split(MLContext mlContext)
    {
        IDataView log = mlContext.Data.LoadFromEnumerable(Clicks.Rows);
        TimeSplit split = mlContext.Data.SplitByTime(log, testFraction: Demo.TestFraction);
        IDataView train = _trainedShare == 1 ? split.TrainSet : mlContext.Data.SplitByTime(split.TrainSet, testFraction: _trainedShare).TestSet;
        return (log, train, split.TestSet);
    }
}

/// <summary>The click logs of the comparison.</summary>
/// <param name="Generated">Short histories.</param>
/// <param name="MovieLens">Null where the folder was not named.</param>
/// <param name="Generated390">Longer histories.</param>
/// <param name="Generated2400">Long histories, of which models look at more or less.</param>
internal sealed record Datasets(Dataset Generated, Dataset? MovieLens, Dataset Generated390, Dataset Generated2400);
