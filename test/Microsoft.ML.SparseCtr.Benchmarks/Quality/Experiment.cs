using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Microsoft.ML.Data;
using SparseCtr.Samples;

namespace Microsoft.ML.SparseCtr.Benchmarks;

/// <summary>A row of a table: one way to predict clicks, on one log.</summary>
/// <param name="Name">What the table calls it.</param>
/// <param name="Data">The log.</param>
/// <param name="Options">The trainer's options; null for a baseline that learns nothing, which the name chooses.</param>
internal sealed record Variant(string Name, Dataset Data, CtrTrainerOptions? Options)
{
    public const string Popularity = "popularity", UserAndItemRates = "user × item rates";

    private static readonly int[] s_seeds = [1, 2, 3];

    public IEnumerable<Experiment> Experiments => (Options is null ? s_seeds[..1] : s_seeds).Select(seed => new Experiment(this, seed));
}

/// <summary>One training and its test.</summary>
internal sealed record Experiment(Variant Variant, int Seed)
{
    /// <summary>To be raised where what is measured changes though data, model and options keep their names: results of another version are run again.</summary>
    private const int Version = 3;

    private static readonly JsonSerializerOptions s_json = new(JsonSerializerDefaults.Web) { Converters = { new JsonStringEnumConverter() } };

    private Dataset Data => Variant.Data;

    private string Model => Variant.Options is null ? Variant.Name : Plan.NameOf(Variant.Options);

    /// <summary>The same for the same data, options and seed, whatever table asks for it.</summary>
    public string Id => $"{Data.Name} | {Model} | seed {Seed} | options {Hash(OptionsJson?.ToJsonString() ?? "")}" + (Version > 1 ? $" | version {Version}" : "");

    /// <summary>A short name for files.</summary>
    public static string Hash(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..16];

    /// <summary>The options that change a result: of the columns, those that are not the demo's.</summary>
    private JsonObject? OptionsJson
    {
        get
        {
            if (Variant.Options is null)
                return null;
            JsonObject json = Json(Variant.Options), demo = Json(Demo.OptionsFor(Data.Clicks, Variant.Options with { }));
            foreach ((string name, JsonNode? columns) in json.Where(option => option.Key.Contains("ColumnName")).ToArray())
            {
                if (JsonNode.DeepEquals(columns, demo[name]))
                    json.Remove(name);
            }
            return json;
        }
    }

    private static JsonObject Json(CtrTrainerOptions options) => JsonSerializer.SerializeToNode(options, s_json)!.AsObject();

    public (Result Result, float[] Scores) Run()
    {
        var mlContext = new MLContext(Seed);
        (IDataView log, IDataView train, IDataView test) = Data.Split(mlContext);
        var result = new Result { Id = Id, Dataset = Data.Name, Model = Model, Seed = Seed, Options = OptionsJson };
        (result, float[] scores) = Variant.Options is null
            ? (result, BaselineScores(mlContext, log, train, test))
            : TrainedScores(result, Variant.Options, mlContext, log, train, test);

        IDataView scored = mlContext.Data.LoadFromEnumerable(scores.Select((score, row) => new ScoredRow
        {
            Label = Data.TestLabels[row],
            User = Data.TestUsers[row],
            Score = score,
            Probability = CtrScorer.Probability(score),
        }));
        CtrMetrics metrics = mlContext.Ranking.EvaluateCtr(scored, groupColumnName: nameof(ScoredRow.User));
        return (result with { Auc = metrics.AreaUnderRocCurve, Gauc = metrics.GroupAreaUnderRocCurve, LogLoss = metrics.LogLoss }, scores);
    }

    private (Result, float[]) TrainedScores(Result result, CtrTrainerOptions options, MLContext mlContext, IDataView log, IDataView train, IDataView test)
    {
        var validation = new BestValidationAuc();
        var clock = Stopwatch.StartNew();
        using var model = (TransformerChain<CtrTransformer>)Demo.Pipeline(mlContext, log, options, validation).Fit(train);
        double fitSeconds = clock.Elapsed.TotalSeconds;

        clock.Restart();
        float[] scores = model.Transform(test).GetColumn<float>("Score").ToArray();
        double scoringSeconds = clock.Elapsed.TotalSeconds;

        CtrTransformer network = model.LastTransformer;
        int events = Math.Min(options.HistoryLength, Data.LongestHistory);
        return (result with
        {
            ValidationAuc = validation.Value,
            FitSeconds = fitSeconds,
            ScoringMicroseconds = 1e6 * scoringSeconds / scores.Length,
            Parameters = network.NumberOfParameters,
            Flops = Flops.PerCandidate(network.Config, events),
            Comparisons = Flops.ComparisonsPerCandidate(network.Config, events),
        }, scores);
    }

    private float[] BaselineScores(MLContext mlContext, IDataView log, IDataView train, IDataView test)
    {
        CtrTrainerOptions columns = Demo.OptionsFor(Data.Clicks, new SparseCtrTrainer.Options());
        IDataView rates = Demo.Features(mlContext, log, columns).Fit(train).Transform(test);
        IEnumerable<float> items = rates.GetColumn<float>("ItemRate").Select(Logit);
        if (Variant.Name == Variant.Popularity)
            return items.ToArray();
        float overall = Logit((float)train.GetColumn<bool>("Label").Average(label => label ? 1 : 0));
        return items.Zip(rates.GetColumn<float>("UserRate").Select(Logit), (item, user) => item + user - overall).ToArray();
    }

    private static float Logit(float rate) => MathF.Log(rate / (1 - rate));

    private sealed class ScoredRow
    {
        public bool Label { get; set; }

        public int User { get; set; }

        public float Score { get; set; }

        public float Probability { get; set; }
    }

    private sealed class BestValidationAuc : IProgress<TrainingProgress>
    {
        public double? Value { get; private set; }

        public void Report(TrainingProgress value) => Value = value.ValidationAuc > Value || Value is null ? value.ValidationAuc : Value;
    }
}
