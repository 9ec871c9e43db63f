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

    public static void Train(DemoArguments arguments)
    {
        var clock = Stopwatch.StartNew();
        ClickData data = Load(arguments);
        Console.WriteLine($"data: {data.Name}, {data.Rows.Length:N0} impressions of {data.Rows.Select(row => row.User).Distinct().Count():N0} users, "
            + $"{data.Rows.Count(row => row.Label) / (double)data.Rows.Length:P1} clicked; the last 10% are the test");

        var mlContext = new MLContext(seed: arguments.Seed);
        IDataView train = mlContext.Data.LoadFromEnumerable(data.TrainingRows);
        IDataView test = mlContext.Data.LoadFromEnumerable(data.TestRows);
        SparseCtrTrainer trainer = mlContext.Ranking.Trainers.SparseCtr(OptionsFor(data, arguments), new ProgressLine());
        IEstimator<ITransformer> pipeline = IdsToKeys(mlContext, data).Append(trainer);
        ITransformer model = pipeline.Fit(train);

        Console.WriteLine("scoring the test rows");
        IDataView scored = mlContext.Data.Cache(model.Transform(test), "Label", "User", "Score", "Probability");
        CtrMetrics metrics = mlContext.Ranking.EvaluateCtr(scored, groupColumnName: "User");
        double baseline = Baseline(mlContext, data);
        Console.WriteLine(Invariant($"test: {metrics}"));
        Console.WriteLine(Invariant($"popularity alone (each item's click rate in the training rows): AUC {baseline:F4}"));
        if (data.BestPredictions is not null)
        {
            double best = Auc(mlContext, data.TestRows, data.BestPredictions[data.TestStart..]);
            Console.WriteLine(Invariant($"best reachable, by who knows how the clicks were made: AUC {best:F4}; ")
                + Invariant($"the model has come {(metrics.AreaUnderRocCurve - baseline) / (best - baseline):P1} of the way from popularity"));
        }

        mlContext.Model.Save(model, train.Schema, arguments.ModelPath);
        Console.WriteLine($"saved {arguments.ModelPath}, {new FileInfo(arguments.ModelPath).Length:N0} bytes; another process loads it:");
        ScoreInAnotherProcess(arguments, scored.GetColumn<float>("Probability"));
        Console.WriteLine(Invariant($"result: auc={metrics.AreaUnderRocCurve:F4} gauc={metrics.GroupAreaUnderRocCurve:F4} logloss={metrics.LogLoss:F4} ")
            + Invariant($"baseline_auc={baseline:F4} rows={metrics.NumberOfRows} seconds={clock.Elapsed.TotalSeconds:F0}"));
    }

    /// <summary>What the second process does: it knows the .zip and the rows to score, nothing else.</summary>
    public static void Score(DemoArguments arguments)
    {
        ClickData data = Load(arguments);
        var mlContext = new MLContext();
        ITransformer model = mlContext.Model.Load(arguments.ModelPath, out _);
        using PredictionEngine<Impression, Prediction> engine = mlContext.Model.CreatePredictionEngine<Impression, Prediction>(model);
        foreach (Impression row in FirstRequests(data))
        {
            Prediction prediction = engine.Predict(row);
            Console.WriteLine(Invariant($"  user {row.User}, {row.HistoryItem.Length} events before, item {row.Item}: ")
                + Invariant($"click probability {prediction.Probability:F6}, in fact {(row.Label ? "clicked" : "not clicked")}"));
        }
    }

    private sealed class Prediction
    {
        public float Probability { get; set; }
    }

    private static ClickData Load(DemoArguments arguments)
        => arguments.DataFolder is null ? GeneratedData.Create(arguments.Users) : MovieLens.Load(arguments.DataFolder);

    /// <summary>Maps raw ids to keys. Candidate and history share a mapping where they share embeddings.</summary>
    private static IEstimator<ITransformer> IdsToKeys(MLContext mlContext, ClickData data)
    {
        TransformsCatalog.ConversionTransforms conversion = mlContext.Transforms.Conversion;
        return Shared("Item", row => row.Item)
            .Append(Shared("Category", row => row.Category))
            .Append(Shared("Age", row => row.Age))
            .Append(conversion.MapValueToKey("HistoryAction"))
            .Append(conversion.MapValueToKey("Tags"))
            .Append(conversion.MapValueToKey("UserFacts"));

        IEstimator<ITransformer> Shared(string name, Func<Impression, int> valueOf)
        {
            IEnumerable<Known> known = data.TrainingRows.Select(valueOf).Distinct().Select(value => new Known { Value = value });
            return conversion.MapValueToKey(
                [new InputOutputColumnPair(name), new InputOutputColumnPair("History" + name)], keyData: mlContext.Data.LoadFromEnumerable(known));
        }
    }

    private sealed class Known
    {
        public int Value { get; set; }
    }

    private static SparseCtrTrainer.Options OptionsFor(ClickData data, DemoArguments arguments)
    {
        var options = new SparseCtrTrainer.Options
        {
            HistoryColumnNames = ["HistoryCategory", "HistoryAge", "HistoryAction"],
            CandidateColumnNames = ["Category", "Age", "Tags"],
            UserColumnNames = ["UserFacts"],
            NumericColumnNames = ["Rates", "Moment"],
            RowGroupColumnName = "Request",
            ValidationFraction = ClickData.ValidationFraction,
        };
        data.Tune(options);
        return arguments.Apply(options);
    }

    /// <summary>What a site without any model would rank by.</summary>
    private static double Baseline(MLContext mlContext, ClickData data)
    {
        double overall = data.TrainingRows.Average(row => row.Label ? 1.0 : 0.0);
        Dictionary<int, double> rates = data.TrainingRows.GroupBy(row => row.Item)
            .ToDictionary(item => item.Key, item => (item.Count(row => row.Label) + RatesSoFar.ItemPrior * overall) / (item.Count() + RatesSoFar.ItemPrior));
        return Auc(mlContext, data.TestRows, data.TestRows.Select(row => rates.GetValueOrDefault(row.Item, overall)).ToArray());
    }

    private static double Auc(MLContext mlContext, Impression[] rows, double[] predictions)
    {
        IEnumerable<ScoredRow> scored = rows.Zip(predictions, (row, prediction) => new ScoredRow
        {
            Label = row.Label,
            Score = (float)prediction,
            Probability = (float)prediction,
        });
        return mlContext.Ranking.EvaluateCtr(mlContext.Data.LoadFromEnumerable(scored)).AreaUnderRocCurve;
    }

    private sealed class ScoredRow
    {
        public bool Label { get; set; }

        public float Score { get; set; }

        public float Probability { get; set; }
    }

    private static IEnumerable<Impression> FirstRequests(ClickData data)
        => data.TestRows.GroupBy(row => row.Request).Take(SampleRequests).SelectMany(request => request);

    private static void ScoreInAnotherProcess(DemoArguments arguments, IEnumerable<float> expected)
    {
        string program = Path.Combine(AppContext.BaseDirectory, typeof(Demo).Assembly.GetName().Name + (OperatingSystem.IsWindows() ? ".exe" : ""));
        var start = new ProcessStartInfo(program) { RedirectStandardOutput = true };
        foreach (string argument in arguments.ForScoring())
            start.ArgumentList.Add(argument);
        using Process process = Process.Start(start) ?? throw new InvalidOperationException($"{program} did not start.");
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
