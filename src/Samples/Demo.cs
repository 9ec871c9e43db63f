using System.Diagnostics;
using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.SparseCtr;
using static System.FormattableString;

namespace SparseCtr.Samples;

/// <summary>The whole way: load, train in a pipeline, evaluate, save, and load and score in another process.</summary>
internal static class Demo
{
    private const int SampleRequests = 3;

    /// <summary>The share of the rows, the latest, to test on.</summary>
    internal const double TestFraction = 0.1;

    /// <summary>Of the others, the share, the latest, that validates: a tenth of all rows.</summary>
    private const double ValidationFraction = TestFraction / (1 - TestFraction);

    public static void Train(DemoArguments arguments)
    {
        var clock = Stopwatch.StartNew();
        ClickData data = Load(arguments);
        Console.WriteLine($"data: {data.Name}, {data.Rows.Length:N0} impressions of {data.Rows.Select(row => row.User).Distinct().Count():N0} users, "
            + $"{data.Rows.Count(row => row.Label) / (double)data.Rows.Length:P1} clicked; the last 10% are the test");

        var mlContext = new MLContext(seed: arguments.Seed);
        IDataView log = mlContext.Data.LoadFromEnumerable(data.Rows);
        TimeSplit split = mlContext.Data.SplitByTime(log, testFraction: TestFraction);
        CtrTrainerOptions options = OptionsFor(data, arguments);
        var fitting = Stopwatch.StartNew();
        ITransformer model = Pipeline(mlContext, log, options, new ProgressLine()).Fit(split.TrainSet);

        Console.WriteLine(Invariant($"fitted in {fitting.Elapsed.TotalSeconds:F1} s; scoring the test rows"));
        IDataView scored = mlContext.Data.Cache(model.Transform(split.TestSet), "Label", "User", "Request", "Score", "Probability", "ItemRate", "BestPrediction");
        CtrMetrics metrics = mlContext.Ranking.EvaluateCtr(scored, groupColumnName: "User", rowGroupColumnName: "Request");
        Console.WriteLine(metrics);
        double baseline = AucOf("ItemRate");
        Console.WriteLine(Invariant($"popularity alone (each item's click rate so far): AUC {baseline:F4}"));
        if (!float.IsNaN(data.Rows[0].BestPrediction))
        {
            double best = AucOf("BestPrediction");
            Console.WriteLine(Invariant($"best reachable, by who knows how the clicks were made: AUC {best:F4}; ")
                + Invariant($"the model has come {(metrics.AreaUnderRocCurve - baseline) / (best - baseline):P1} of the way from popularity"));
        }

        mlContext.Model.Save(model, log.Schema, arguments.ModelPath);
        Console.WriteLine($"saved {arguments.ModelPath}, {new FileInfo(arguments.ModelPath).Length:N0} bytes; another process loads it:");
        ScoreInAnotherProcess(arguments, scored.GetColumn<float>("Probability"));
        Console.WriteLine(Invariant($"result: auc={metrics.AreaUnderRocCurve:F4} gauc={metrics.GroupAreaUnderRocCurve:F4} logloss={metrics.LogLoss:F4} ")
            + Invariant($"baseline_auc={baseline:F4} rows={metrics.NumberOfRows} seconds={clock.Elapsed.TotalSeconds:F0}"));

        double AucOf(string column)
            => mlContext.Ranking.EvaluateCtr(scored, scoreColumnName: column, probabilityColumnName: null).AreaUnderRocCurve;
    }

    /// <summary>What the second process does: it knows the .zip and the rows to score, nothing else.</summary>
    public static void Score(DemoArguments arguments)
    {
        ClickData data = Load(arguments);
        var mlContext = new MLContext();
        ITransformer model = mlContext.Model.Load(arguments.ModelPath, out _);
        using PredictionEngine<Impression, Prediction> engine = mlContext.Model.CreatePredictionEngine<Impression, Prediction>(model);
        IDataView test = mlContext.Data.SplitByTime(mlContext.Data.LoadFromEnumerable(data.Rows), testFraction: TestFraction).TestSet;
        IEnumerable<IGrouping<int, Impression>> requests = mlContext.Data.CreateEnumerable<Impression>(test, reuseRowObject: false).GroupBy(row => row.Request);
        foreach (Impression row in requests.Take(SampleRequests).SelectMany(request => request))
        {
            Prediction prediction = engine.Predict(row);
            Console.WriteLine(Invariant($"  user {row.User}, {prediction.HistoryChunk.Length} events before in {prediction.HistoryChunk.Distinct().Count()} chunks, item {row.Item}: ")
                + Invariant($"click probability {prediction.Probability:F6}, in fact {(row.Label ? "clicked" : "not clicked")}"));
        }
    }

    private sealed class Prediction
    {
        public float Probability { get; set; }

        public int[] HistoryChunk { get; set; } = [];
    }

    internal static ClickData Load(DemoArguments arguments)
        => arguments.DataFolder is null ? GeneratedData.Create(arguments.Users) : MovieLens.Load(arguments.DataFolder);

    /// <summary>
    /// From rows of a log to what the trainer takes: keys for ids, and, of each row's past, the history of its user and the rates of its item
    /// and its user.
    /// </summary>
    internal static IEstimator<ITransformer> Features(MLContext mlContext, IDataView log, CtrTrainerOptions options)
    {
        TransformsCatalog transforms = mlContext.Transforms;
        string[] ids = ["Item", "Category", "Age", "Tags", "UserFacts"];
        // Once in the log, rather than in every row's history.
        IDataView events = transforms.Conversion.MapValueToKey("Action").Fit(log).Transform(log);
        // Rates before keys: new items have rates, but no keys in a mapping made before they came.
        return transforms.RunningRate(history: log, keyColumnNames: ["Item", "User"])
            .Append(transforms.RunningRate(history: log, new RunningRateEstimator.Options
            {
                KeyColumnNames = ["Item", "User"],
                LabelColumnName = "Action",
                RateSuffix = "Action",
                CountSuffix = null,
            }))
            .Append(transforms.Conversion.MapValueToKey(ids.Select(name => new InputOutputColumnPair(name)).ToArray()))
            .Append(transforms.BehaviorSequence(history: events, new BehaviorSequenceEstimator.Options
            {
                FieldColumnNames = ["Category", "Age", "Action"],
                HistoryLength = options.HistoryLength,
                HistoryStride = StrideFor(options),
            }))
            .Append(transforms.TimeChunking(historyLength: options.HistoryLength));
    }

    internal static IEstimator<ITransformer> Pipeline(
        MLContext mlContext, IDataView log, CtrTrainerOptions options, IProgress<TrainingProgress>? progress = null)
        => Features(mlContext, log, options).Append(Trainer(mlContext.Ranking.Trainers, options, progress));

    private static CtrTrainer Trainer(RankingCatalog.RankingTrainers trainers, CtrTrainerOptions options, IProgress<TrainingProgress>? progress) => options switch
    {
        SparseCtrTrainer.Options sparseCtr => trainers.SparseCtr(sparseCtr, progress),
        EtaTrainer.Options eta => trainers.Eta(eta, progress),
        TargetAttentionTrainer.Options targetAttention => trainers.TargetAttention(targetAttention, progress),
        DenseAttentionTrainer.Options denseAttention => trainers.DenseAttention(denseAttention, progress),
        _ => throw new ArgumentException($"{options.GetType()} are options of no trainer that is known here."),
    };

    /// <summary>Long histories of rows that follow each other begin alike, so that one encoding does for them.</summary>
    private static int StrideFor(CtrTrainerOptions options) => options.RequestsPerHistory == 1 ? 1 : Math.Max(1, options.HistoryLength / 2);

    /// <summary>The options that the command line asks for.</summary>
    internal static CtrTrainerOptions OptionsFor(ClickData data, DemoArguments arguments)
    {
        CtrTrainerOptions options = arguments.Apply(OptionsFor(data, arguments.NewOptions()));
        // Who serves the model without the pipeline must cut histories where the pipeline does.
        options.HistoryStride = StrideFor(options);
        return options;
    }

    /// <summary>Fills in the columns, and what was chosen for the data.</summary>
    internal static TOptions OptionsFor<TOptions>(ClickData data, TOptions options) where TOptions : CtrTrainerOptions
    {
        options.HistoryColumnNames = ["HistoryCategory", "HistoryAge", "HistoryAction"];
        options.CandidateColumnNames = ["Category", "Age", "Tags"];
        options.UserColumnNames = ["UserFacts"];
        options.NumericColumnNames = ["ItemRate", "ItemCount", "ItemAction", "UserRate", "UserCount", "UserAction", "Moment"];
        options.RowGroupColumnName = "Request";
        options.ValidationFraction = ValidationFraction;
        data.Tune(options);
        return options;
    }

    /// <summary>Starts this program once more.</summary>
    internal static Process Start(IEnumerable<string> arguments, bool redirectsOutput = false)
    {
        string program = Path.Combine(AppContext.BaseDirectory, typeof(Demo).Assembly.GetName().Name + (OperatingSystem.IsWindows() ? ".exe" : ""));
        return Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = redirectsOutput })
            ?? throw new InvalidOperationException($"{program} did not start.");
    }

    private static void ScoreInAnotherProcess(DemoArguments arguments, IEnumerable<float> expected)
    {
        using Process process = Start(arguments.ForScoring(), redirectsOutput: true);
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0)
            throw new InvalidOperationException($"The scoring process ended with exit code {process.ExitCode}.");
        Console.Write(output);

        float[] loaded = output.Split('\n').Where(line => line.Contains("click probability"))
            .Select(line => float.Parse(line.Split("click probability ")[1].Split(',')[0], CultureInfo.InvariantCulture)).ToArray();
        double difference = loaded.Zip(expected, (left, right) => Math.Abs(left - right)).Max();
        if (difference > 1e-5)
            throw new InvalidOperationException($"The loaded model's scores differ from the trained model's by {difference}.");
        Console.WriteLine(Invariant($"the loaded model's probabilities are the trained one's (largest difference {difference:0.0e0})"));
    }
}

/// <summary>The training's progress on the console: a bar that moves on a terminal, a line per epoch anywhere.</summary>
internal sealed class ProgressLine : IProgress<TrainingProgress>
{
    private const int Width = 30;
    private readonly bool _isTerminal = !Console.IsOutputRedirected;
    private readonly Stopwatch _sinceDrawn = Stopwatch.StartNew();

    public void Report(TrainingProgress value)
    {
        string numbers = Invariant($"epoch {value.Epoch}/{value.NumberOfEpochs}  loss {value.Loss:F4}  {value.RowsPerSecond,6:N0} rows/s");
        if (value.EpochCompleted)
        {
            string auc = Invariant($"  validation AUC {value.ValidationAuc:F4}{(value.IsBest ? "  best so far" : "")}");
            Console.WriteLine(_isTerminal ? $"\r{numbers}{auc}".PadRight(100) : numbers + auc);
        }
        else if (_isTerminal && _sinceDrawn.ElapsedMilliseconds > 100)
        {
            int filled = Width * value.Step / Math.Max(1, value.StepsPerEpoch);
            Console.Write($"\r{numbers}  [{new string('#', filled)}{new string('.', Width - filled)}]".PadRight(100));
            _sinceDrawn.Restart();
        }
    }
}
