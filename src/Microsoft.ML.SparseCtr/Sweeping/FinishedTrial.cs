using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Microsoft.ML.SearchSpace;

namespace Microsoft.ML.SparseCtr;

/// <summary>A trial that has been trained and measured: what trial-0001.json says, beside trial-0001.zip, its model.</summary>
/// <param name="Parameters">What the tuner proposed.</param>
/// <param name="Seed">The seed of the trial's context; null for none.</param>
/// <param name="Metric">By what it was compared.</param>
/// <param name="Value">Of the metric.</param>
/// <param name="Milliseconds">How long it took.</param>
/// <param name="ValidationAucs">What the trainer's own validation gave after each epoch; empty where it has none.</param>
/// <param name="Epochs">The epochs that it was to have; more than it had where it was stopped.</param>
/// <param name="Metrics">All that was measured.</param>
/// <param name="Trainer">The class of its trainer, such as SparseCtrTrainer; null where none is of this library.</param>
/// <param name="IsHopeless">Whether it was stopped because others were better by then.</param>
internal sealed record FinishedTrial(
    JsonObject Parameters, int? Seed, SweepMetric Metric, double Value, double Milliseconds, double[] ValidationAucs, int Epochs, JsonNode Metrics,
    string? Trainer = null, bool IsHopeless = false)
{
    /// <summary>What tuners minimize: the smaller, the better.</summary>
    [JsonIgnore]
    public double Loss => Metric == SweepMetric.LogLoss ? Value : -Value;
}

/// <summary>The finished trials of a folder. A trial counts as finished once its .json is there, and that is put there last, under its name at once.</summary>
internal sealed class TrialFolder
{
    private const string Name = "trial";

    private readonly string _path;
    private readonly List<(int Number, FinishedTrial Trial)> _trials = [];

    /// <exception cref="FormatException">A file of it is not what it should be: the message names it.</exception>
    public TrialFolder(string path)
    {
        _path = path;
        Directory.CreateDirectory(path);
        foreach (int number in Directory.GetFiles(path, $"{Name}-*.json").Select(NumberOf).OfType<int>().Order())
            _trials.Add((number, Read(PathOf(number, "json"))));
    }

    public IReadOnlyList<FinishedTrial> Trials => [.. _trials.Select(trial => trial.Trial)];

    /// <summary>The trials by the names of their files, without extensions.</summary>
    public IEnumerable<(string Name, FinishedTrial Trial)> Named => _trials.Select(trial => (NameOf(trial.Number), trial.Trial));

    /// <summary>The number in a file's name; null if it is not that of a trial.</summary>
    private static int? NumberOf(string file)
        => int.TryParse(Path.GetFileNameWithoutExtension(file)[(Name.Length + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : null;

    private static FinishedTrial Read(string file)
    {
        try
        {
            return ConfigFile.Parse<FinishedTrial>(Name, File.ReadAllText(file), _ => { });
        }
        catch (FormatException problem)
        {
            throw new FormatException($"'{file}' is no finished trial: {problem.InnerException?.Message ?? problem.Message} Delete it, and its .zip, to have the trial trained again.", problem);
        }
    }

    /// <summary>The trial with such parameters, seed and metric, and where its model is; null where there is none.</summary>
    public (FinishedTrial Trial, string ModelPath)? Find(JsonObject parameters, int? seed, SweepMetric metric)
    {
        (int number, FinishedTrial? found)
            = _trials.Find(one => one.Trial.Seed == seed && one.Trial.Metric == metric && JsonNode.DeepEquals(one.Trial.Parameters, parameters));
        return found is null || !File.Exists(PathOf(number, "zip")) ? null : (found, PathOf(number, "zip"));
    }

    /// <summary>Keeps a trial, its model first.</summary>
    /// <param name="trial">The trial.</param>
    /// <param name="saveModel">Writes the model to a file.</param>
    public void Add(FinishedTrial trial, Action<string> saveModel)
    {
        // There may be gaps: of trials that were deleted.
        int number = _trials.Count == 0 ? 1 : _trials[^1].Number + 1;
        AtomicFile.Replace(PathOf(number, "zip"), saveModel);
        using var text = new StringWriter();
        ConfigFile.Write(Name, trial, text);
        AtomicFile.Replace(PathOf(number, "json"), file => File.WriteAllText(file, text.ToString()));
        _trials.Add((number, trial));
    }

    private string PathOf(int number, string extension) => Path.Combine(_path, $"{NameOf(number)}.{extension}");

    /// <summary>How the names begin of the checkpoints of the trial with such parameters and seed.</summary>
    public string CheckpointsOf(JsonObject parameters, int? seed)
        => Path.Combine(_path, $"running-{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{seed} {parameters.ToJsonString()}")))[..16]}-");

    /// <summary>Deletes what a trial that is finished does not need any more.</summary>
    public void DeleteCheckpoints(JsonObject parameters, int? seed)
    {
        foreach (string file in Directory.GetFiles(_path, Path.GetFileName(CheckpointsOf(parameters, seed)) + "*"))
            File.Delete(file);
    }

    private static string NameOf(int number) => FormattableString.Invariant($"{Name}-{number:0000}");

    /// <summary>A tuner's parameters as JSON.</summary>
    public static JsonObject ToJson(Parameter parameters)
        => new(((IEnumerable<KeyValuePair<string, Parameter>>)parameters).OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => KeyValuePair.Create(pair.Key, ValueOf(pair.Value))));

    private static JsonNode? ValueOf(Parameter parameter) => parameter.ParameterType switch
    {
        ParameterType.Object => ToJson(parameter),
        ParameterType.Integer => parameter.AsType<long>(),
        ParameterType.Number => parameter.AsType<double>(),
        ParameterType.Bool => parameter.AsType<bool>(),
        ParameterType.String => parameter.AsType<string>(),
        _ => throw new NotSupportedException($"A sweep cannot keep a parameter of type {parameter.ParameterType}."),
    };
}
