using System.Globalization;
using System.Reflection;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// Makes a page of a folder of trials. SweepReport.html has all that is seen; here it gets its data, as JSON that leaves nothing of HTML unescaped, and its script puts them
/// into the page as text alone.
/// </summary>
internal static class SweepReport
{
    private const string DataMark = "{{data}}";
    private const string ChainKey = "_SCHEMA_";

    /// <summary>The default encoder escapes &lt;, &gt; and &amp;: no text of a trial ends the script element.</summary>
    private static readonly JsonSerializerOptions s_json = new(JsonSerializerDefaults.Web);

    /// <summary>A parameter that was searched, and its value in each trial; null in trials whose chain does not have it.</summary>
    private sealed record Parameter(string Name, JsonValue?[] Values)
    {
        public bool IsNumber => Values.All(value => value is null || value.GetValueKind() == JsonValueKind.Number);

        public ParameterImportance ImportanceFor(double[] metric)
        {
            int[] trials = Enumerable.Range(0, Values.Length).Where(trial => Values[trial] is not null).ToArray();
            double[] measured = trials.Select(trial => metric[trial]).ToArray();
            return IsNumber
                ? ParameterImportance.OfNumber(trials.Select(trial => Values[trial]!.GetValue<double>()).ToArray(), measured)
                : ParameterImportance.OfChoice(trials.Select(trial => Values[trial]!.ToJsonString()).ToArray(), measured);
        }
    }

    /// <exception cref="FormatException">A file of the folder is not what it should be: the message names it.</exception>
    /// <exception cref="InvalidOperationException">No trial of it is by the metric.</exception>
    public static void Write(string path, string folder, SweepMetric metric)
    {
        (string Name, FinishedTrial Trial)[] trials = new TrialFolder(folder).Named.Where(named => named.Trial.Metric == metric).ToArray();
        if (trials.Length == 0)
            throw new InvalidOperationException($"'{folder}' has no finished trial by {metric}.");
        using Stream template = typeof(SweepReport).Assembly.GetManifestResourceStream("SweepReport.html")!;
        string html = new StreamReader(template).ReadToEnd().Replace(DataMark, JsonSerializer.Serialize(DataOf(trials, metric), s_json));
        AtomicFile.Replace(path, file => File.WriteAllText(file, html));
    }

    private static object DataOf((string Name, FinishedTrial Trial)[] trials, SweepMetric metric)
    {
        Parameter[] parameters = ParametersOf(trials.Select(pair => pair.Trial).ToArray());
        double[] values = trials.Select(pair => pair.Trial.Value).ToArray();
        double[] losses = trials.Select(pair => pair.Trial.Loss).ToArray();
        int best = Array.IndexOf(losses, losses.Min());
        return new
        {
            Metric = metric switch
            {
                SweepMetric.AreaUnderRocCurve => "AUC",
                SweepMetric.GroupAreaUnderRocCurve => "GAUC",
                _ => "log loss",
            },
            LargerIsBetter = metric != SweepMetric.LogLoss,
            Best = best,
            Code = OptionsAsCode(trials[best].Trial),
            Parameters = parameters.Select(parameter => new { parameter.Name, parameter.IsNumber, Importance = parameter.ImportanceFor(values) }),
            Trials = trials.Select((pair, place) => new
            {
                pair.Name,
                pair.Trial.Value,
                Auc = Measured(pair.Trial, nameof(CtrMetrics.AreaUnderRocCurve)),
                Gauc = Measured(pair.Trial, nameof(CtrMetrics.GroupAreaUnderRocCurve)),
                LogLoss = Measured(pair.Trial, nameof(CtrMetrics.LogLoss)),
                Seconds = pair.Trial.Milliseconds / 1_000,
                Aucs = pair.Trial.ValidationAucs,
                pair.Trial.Epochs,
                pair.Trial.IsHopeless,
                Parameters = parameters.Select(parameter => parameter.Values[place]),
            }),
        };
    }

    /// <summary>One of a trial's metrics; null where it is undefined.</summary>
    private static double? Measured(FinishedTrial trial, string metric)
        => (trial.Metrics as JsonObject)?[JsonNamingPolicy.CamelCase.ConvertName(metric)] is JsonValue value && value.GetValueKind() == JsonValueKind.Number
            ? value.GetValue<double>()
            : null;

    /// <summary>What was searched, under the shortest names that tell them apart; the chain of estimators too, where there are several.</summary>
    private static Parameter[] ParametersOf(FinishedTrial[] trials)
    {
        Dictionary<string, JsonValue>[] searched = trials.Select(trial => Searched(trial).ToDictionary(one => $"{one.Estimator}.{one.Option}", one => one.Value)).ToArray();
        string[] paths = searched.SelectMany(one => one.Keys).Distinct().ToArray();
        ILookup<string, string> byOption = paths.ToLookup(OptionOf);
        IEnumerable<Parameter> parameters = paths.Select(path => new Parameter(
            byOption[OptionOf(path)].Count() == 1 ? OptionOf(path) : path, searched.Select(one => one.GetValueOrDefault(path)).ToArray()));

        string?[] chains = trials.Select(trial => trial.Trainer is null ? ChainOf(trial) : $"{trial.Trainer} ({ChainOf(trial)})").ToArray();
        return chains.Distinct().Count() == 1 ? [.. parameters] : [new Parameter("estimators", chains.Select(chain => JsonValue.Create(chain)).ToArray()), .. parameters];

        static string OptionOf(string path) => path[(path.IndexOf('.') + 1)..];
    }

    /// <summary>The options of the estimators that a trial's chain has.</summary>
    private static IEnumerable<(string Estimator, string Option, JsonValue Value)> Searched(FinishedTrial trial)
    {
        string[]? chain = ChainOf(trial)?.Split('*', StringSplitOptions.TrimEntries);
        return from estimator in trial.Parameters
               where estimator.Value is JsonObject && chain?.Contains(estimator.Key) != false
               from leaf in Leaves(estimator.Value.AsObject())
               select (estimator.Key, leaf.Name, leaf.Value);
    }

    /// <summary>Such as "e0 * e2".</summary>
    private static string? ChainOf(FinishedTrial trial) => trial.Parameters[ChainKey]?.ToString();

    private static IEnumerable<(string Name, JsonValue Value)> Leaves(JsonObject options) => options.SelectMany(option => option.Value switch
    {
        JsonObject nested => Leaves(nested).Select(leaf => ($"{option.Key}.{leaf.Name}", leaf.Value)),
        JsonValue value => [(option.Key, value)],
        _ => [],
    });

    /// <summary>The options of a trial's trainer as C#, and those of other estimators as comments.</summary>
    private static string OptionsAsCode(FinishedTrial trial)
    {
        Type? options = trial.Trainer is null ? null : typeof(CtrTrainer).Assembly.GetType($"{typeof(CtrTrainer).Namespace}.{trial.Trainer}+Options");
        var estimators = Searched(trial).GroupBy(one => one.Estimator).ToArray();
        // The trainer's estimator is the last whose options are all the trainer's.
        var trainer = estimators.LastOrDefault(estimator => estimator.All(one => options?.GetProperty(one.Option) is not null));

        var code = new StringBuilder();
        foreach (var (estimator, option, value) in estimators.Where(estimator => estimator != trainer).SelectMany(estimator => estimator))
            code.Append(CultureInfo.InvariantCulture, $"// {estimator}: {option} = {Literal(value, null)}\n");
        if (options is not null)
        {
            code.Append(CultureInfo.InvariantCulture, $"new {trial.Trainer}.Options\n{{\n");
            foreach (var (_, option, value) in trainer ?? Enumerable.Empty<(string, string, JsonValue)>())
                code.Append(CultureInfo.InvariantCulture, $"    {option} = {Literal(value, options.GetProperty(option)!.PropertyType)},\n");
            code.Append('}');
        }
        return code.ToString().TrimEnd();
    }

    /// <summary>JSON's literals are C#'s, escapes in strings included; but for enums, and whole numbers that were kept as others.</summary>
    private static string Literal(JsonValue value, Type? type) => (value.GetValueKind(), type) switch
    {
        (JsonValueKind.String, { IsEnum: true }) when Enum.IsDefined(type, value.ToString()) => $"{type.Name}.{value}",
        (JsonValueKind.Number, _) when type == typeof(int) => Math.Round(value.GetValue<double>()).ToString("F0", CultureInfo.InvariantCulture),
        (JsonValueKind.Number, _) => value.GetValue<double>().ToString("R", CultureInfo.InvariantCulture),
        _ => value.ToJsonString(),
    };
}
