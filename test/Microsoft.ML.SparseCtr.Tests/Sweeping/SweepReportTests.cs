using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>The report of a sweep, over trials that are made up.</summary>
public sealed class SweepReportTests : IDisposable
{
    private const string Malicious = "</script><img src=x onerror=alert(1)>\"'&\n<!--";

    private readonly string _folder = Directory.CreateTempSubdirectory("sparsectr").FullName;

    private string ReportPath => Path.Combine(_folder, "report.html");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    // --- importance ---

    [Theory]
    // Ranks 1 to 4 and 2, 1, 4, 3: a correlation of 1 - 6 * 4 / (4 * 15) = 0.6.
    [InlineData(new[] { 1.0, 10, 100, 1_000 }, new[] { 0.6, 0.5, 0.8, 0.7 }, 0.36)]
    // Ties: ranks 1.5, 1.5, 3 and 1, 2, 3: 1.5 / sqrt(1.5 * 2), squared.
    [InlineData(new[] { 1.0, 1, 2 }, new[] { 0.1, 0.2, 0.3 }, 0.75)]
    [InlineData(new[] { 1.0, 2, 3, 4 }, new[] { 0.1, 0.2, 0.21, 5 }, 1)]
    [InlineData(new[] { 1.0, 2, 3, 4 }, new[] { 4.0, 3.9, 1, 0 }, 1)]
    [InlineData(new[] { 0.1, 0.1, 0.1 }, new[] { 0.1, 0.2, 0.3 }, 0)]
    [InlineData(new[] { 1.0, 2, 3 }, new[] { 0.1, 0.1, 0.1 }, 0)]
    [InlineData(new[] { 1.0 }, new[] { 0.1 }, 0)]
    public void A_number_explains_what_its_rank_correlation_says(double[] parameter, double[] metric, double expected)
        => Assert.Equal(expected, ParameterImportance.OfNumber(parameter, metric).Share, 1e-12);

    [Theory]
    // Means 2 and 4 around 3: 2 + 2 between them, 8 in all.
    [InlineData(new[] { "a", "a", "b", "b" }, new[] { 1.0, 3, 3, 5 }, 0.5)]
    [InlineData(new[] { "a", "b", "a", "b" }, new[] { 1.0, 2, 1, 2 }, 1)]
    [InlineData(new[] { "a", "a", "a" }, new[] { 0.1, 0.2, 0.3 }, 0)]
    [InlineData(new[] { "a", "b", "a" }, new[] { 0.1, 0.1, 0.1 }, 0)]
    public void A_choice_explains_what_its_correlation_ratio_says(string[] parameter, double[] metric, double expected)
        => Assert.Equal(expected, ParameterImportance.OfChoice(parameter, metric).Share, 1e-12);

    [Fact]
    public void What_does_nothing_explains_on_average_what_is_said_to_be_chance()
    {
        var random = new Random(1);
        const int Trials = 12, Repetitions = 4_000;
        double number = 0, choice = 0;
        for (int i = 0; i < Repetitions; i++)
        {
            double[] metric = Enumerable.Range(0, Trials).Select(_ => random.NextDouble()).ToArray();
            number += ParameterImportance.OfNumber(Enumerable.Range(0, Trials).Select(_ => random.NextDouble()).ToArray(), metric).Share / Repetitions;
            choice += ParameterImportance.OfChoice(Enumerable.Range(0, Trials).Select(trial => $"{trial % 3}").ToArray(), metric).Share / Repetitions;
        }
        Assert.Equal(ParameterImportance.OfNumber(new double[Trials], new double[Trials]).ByChance, number, 0.01);
        Assert.Equal(ParameterImportance.OfChoice(Enumerable.Range(0, Trials).Select(trial => $"{trial % 3}").ToArray(), new double[Trials]).ByChance, choice, 0.01);
    }

    // --- what is in it ---

    [Fact]
    public void A_report_has_every_trial_and_the_best_one_as_CSharp()
    {
        Add(0.70, Options(0.001, "AdamW"));
        Add(0.75, Options(0.0062149428128050604, "RowwiseAdagrad"));
        Add(0.72, Options(0.05, "AdamW"));
        new SweepTrials { Pipeline = null!, TrainSet = null!, ValidationSet = null!, Folder = _folder }.WriteReport(ReportPath);

        JsonNode data = DataOf(ReportPath);
        Assert.Equal(["trial-0001", "trial-0002", "trial-0003"], data["trials"]!.AsArray().Select(trial => (string)trial!["name"]!));
        Assert.Equal(1, (int)data["best"]!);
        Assert.Equal(["BatchSize", "EmbeddingOptimizer", "LearningRate"], data["parameters"]!.AsArray().Select(parameter => (string)parameter!["name"]!));
        // Ranks 1, 2, 3 and 1, 3, 2: a correlation of 0.5. Means 0.71 and 0.75 of 2 and 1 trials: 0.0010667 between them, of 0.0012667.
        Assert.Equal([0, 0.8421, 0.25], data["parameters"]!.AsArray().Select(parameter => Math.Round((double)parameter!["importance"]!["share"]!, 4)));
        Assert.Equal("""
            new SparseCtrTrainer.Options
            {
                BatchSize = 128,
                EmbeddingOptimizer = EmbeddingOptimizer.RowwiseAdagrad,
                LearningRate = 0.0062149428128050604,
            }
            """, (string)data["code"]!);
        Assert.False(File.Exists(ReportPath + ".tmp"));
    }

    [Fact]
    public void The_smallest_log_loss_is_the_best_and_other_metrics_are_left_out()
    {
        Add(0.70, Options(0.001, "AdamW"), SweepMetric.LogLoss);
        Add(0.60, Options(0.01, "AdamW"), SweepMetric.AreaUnderRocCurve);
        Add(0.65, Options(0.05, "AdamW"), SweepMetric.LogLoss);
        SweepReport.Write(ReportPath, _folder, SweepMetric.LogLoss);
        JsonNode data = DataOf(ReportPath);
        Assert.Equal(["trial-0001", "trial-0003"], data["trials"]!.AsArray().Select(trial => (string)trial!["name"]!));
        Assert.Equal(1, (int)data["best"]!);
        Assert.Throws<InvalidOperationException>(() => SweepReport.Write(ReportPath, _folder, SweepMetric.GroupAreaUnderRocCurve));
    }

    [Fact]
    public void Chains_have_parameters_of_their_own_and_no_text_breaks_out()
    {
        Add(0.7, Chain("e0 * e1", Malicious, 0.01, 0.5));
        Add(0.6, Chain("e0 * e2", "harmless", 0.5, 0.02), trainer: "EtaTrainer");
        SweepReport.Write(ReportPath, _folder, SweepMetric.AreaUnderRocCurve);

        Assert.DoesNotContain("<img", File.ReadAllText(ReportPath));
        JsonNode data = DataOf(ReportPath);
        Assert.Equal(["estimators", "Words", "e1.LearningRate", "e2.LearningRate"], data["parameters"]!.AsArray().Select(parameter => (string)parameter!["name"]!));
        Assert.True(JsonNode.DeepEquals(new JsonArray("SparseCtrTrainer (e0 * e1)", Malicious, 0.01, null), data["trials"]![0]!["parameters"]));
        Assert.True(JsonNode.DeepEquals(new JsonArray("EtaTrainer (e0 * e2)", "harmless", null, 0.02), data["trials"]![1]!["parameters"]));
        string[] code = ((string)data["code"]!).Split('\n');
        Assert.Equal(["// e0: Words = " + JsonSerializer.Serialize(Malicious), "new SparseCtrTrainer.Options", "{", "    LearningRate = 0.01,", "}"], code);
    }

    [Fact]
    public void Of_a_trainer_that_is_not_known_the_options_are_listed()
    {
        Add(0.7, Chain("e1", "unused", 1e-5, 0.5), trainer: null);
        SweepReport.Write(ReportPath, _folder, SweepMetric.AreaUnderRocCurve);
        Assert.Equal("// e1: LearningRate = 1E-05", (string)DataOf(ReportPath)["code"]!);
    }

    [Fact]
    public void A_trial_that_cannot_be_read_is_named()
    {
        File.WriteAllText(Path.Combine(_folder, "trial-0001.json"), "{ half of");
        Assert.Contains("trial-0001.json' is no finished trial", Assert.Throws<FormatException>(() => SweepReport.Write(ReportPath, _folder, SweepMetric.AreaUnderRocCurve)).Message);
        Assert.False(File.Exists(ReportPath));
    }

    // --- how it looks ---

    [SkippableTheory]
    [InlineData(1)]
    [InlineData(12)]
    [InlineData(200)]
    public void A_browser_draws_every_trial_as_row_line_and_curve(int trials)
    {
        var random = new Random(trials);
        for (int trial = 0; trial < trials; trial++)
        {
            double rate = Math.Exp(Math.Log(0.001) + random.NextDouble() * Math.Log(50));
            bool isEta = trial % 4 == 3, isStopped = trial % 5 == 4;
            JsonObject parameters = Chain(isEta ? "e0 * e2" : "e0 * e1", new[] { Malicious, "one", "other" }[trial % 3], rate, rate);
            (parameters["e1"]!["BatchSize"], parameters["e1"]!["Dropout"], parameters["e2"]!["LocalWindow"]) = (64 << random.Next(4), 0.3 * random.NextDouble(), 8 << random.Next(4));
            double value = 0.75 - 0.01 * Math.Pow(Math.Log10(rate) + 2, 2) + 0.003 * random.NextDouble();
            Add(value, parameters, trainer: isEta ? "EtaTrainer" : "SparseCtrTrainer", epochs: 5, done: isStopped ? 2 : 5);
        }
        SweepReport.Write(ReportPath, _folder, SweepMetric.AreaUnderRocCurve);

        string page = Shown(ReportPath);
        Assert.DoesNotContain("""<p class="error">""", page);
        Assert.DoesNotContain("<img", page);
        Assert.Equal(trials, Regex.Count(Part("table"), "<tr data-trial="));
        Assert.Equal(trials, Regex.Count(Part("parallel"), "<g data-trial="));
        Assert.Equal(trials, Regex.Count(Part("curves"), "<g data-trial="));
        Assert.Equal(trials / 5, Regex.Count(Part("curves"), "class=\"[^\"]*stopped"));
        Assert.DoesNotContain("NaN", Part("parallel") + Part("curves"));
        Assert.Matches("<code id=\"code\">[^<]*new (SparseCtr|Eta)Trainer.Options", page);

        // From one element to the next heading.
        string Part(string id) => Regex.Match(page, $"<div id=\"{id}\".*?<h2>", RegexOptions.Singleline).Value;
    }

    private static string Shown(string file)
    {
        string browser = Browser.Path();
        string profile = Path.Combine(Path.GetDirectoryName(file)!, "profile");
        string[] arguments = Browser.Arguments(profile, "--dump-dom", new Uri(file).AbsoluteUri);
        using Process process = Process.Start(new ProcessStartInfo(browser, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> page = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(TimeSpan.FromMinutes(2)))
            process.Kill(entireProcessTree: true);
        Assert.True(process.ExitCode == 0, error.Result);
        return page.Result;
    }

    // --- trials ---

    private static JsonObject Options(double learningRate, string optimizer) => new()
    {
        ["_SCHEMA_"] = "e0 * e1",
        ["e0"] = new JsonObject(),
        ["e1"] = new JsonObject { ["BatchSize"] = 128, ["EmbeddingOptimizer"] = optimizer, ["LearningRate"] = learningRate },
    };

    private static JsonObject Chain(string chain, string words, double rate1, double rate2) => new()
    {
        ["_SCHEMA_"] = chain,
        ["e0"] = new JsonObject { ["Words"] = words },
        ["e1"] = new JsonObject { ["LearningRate"] = rate1 },
        ["e2"] = new JsonObject { ["LearningRate"] = rate2 },
    };

    private void Add(double value, JsonObject parameters, SweepMetric metric = SweepMetric.AreaUnderRocCurve, string? trainer = "SparseCtrTrainer", int epochs = 3, int done = 3)
    {
        double[] aucs = Enumerable.Range(1, done).Select(epoch => value - 0.05 / epoch).ToArray();
        var metrics = new JsonObject { ["areaUnderRocCurve"] = value, ["groupAreaUnderRocCurve"] = null, ["logLoss"] = 0.6 };
        new TrialFolder(_folder).Add(new FinishedTrial(parameters, Seed: 1, metric, value, Milliseconds: 1_234.5, aucs, epochs, metrics, trainer),
            model => File.WriteAllText(model, "a model"));
    }

    private static JsonNode DataOf(string report)
        => JsonNode.Parse(Regex.Match(File.ReadAllText(report), """<script type="application/json" id="data">(.*?)</script>""", RegexOptions.Singleline).Groups[1].Value)!;
}
