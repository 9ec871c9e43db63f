using System.Globalization;
using System.Net;
using System.Reflection;
using Microsoft.ML.SparseCtr;

namespace SparseCtr.Samples;

/// <summary>The command line.</summary>
internal sealed record DemoArguments
{
    private static readonly Dictionary<string, Func<CtrTrainerOptions>> s_trainers = new()
    {
        ["SparseCtr"] = () => new SparseCtrTrainer.Options(),
        ["Eta"] = () => new EtaTrainer.Options(),
        ["TargetAttention"] = () => new TargetAttentionTrainer.Options(),
        ["DenseAttention"] = () => new DenseAttentionTrainer.Options(),
    };

    public string Command { get; private init; } = "train";

    /// <summary>A folder with MovieLens 100K; null takes generated data.</summary>
    public string? DataFolder { get; private init; }

    /// <summary>Users of the generated data.</summary>
    public int Users { get; private init; } = 1_200;

    public string ModelPath { get; private init; } = "ctr.zip";

    public int Seed { get; private init; } = 1;

    /// <summary>What an interrupted training goes on from; null to begin anew.</summary>
    public string? CheckpointPath { get; private init; }

    /// <summary>Trials of a sweep.</summary>
    public int Trials { get; private init; } = 12;

    /// <summary>Where a sweep keeps them; null for a folder of its own for each trainer, data and options, as trials of others would be taken for its own.</summary>
    public string? Folder { get; private init; }

    /// <summary>Where the service listens: only for this machine, as it asks nobody who they are.</summary>
    public IPAddress Host { get; private init; } = IPAddress.Loopback;

    /// <summary>Of the service; 0 takes one that is free.</summary>
    public int Port { get; private init; } = 8080;

    /// <summary>Memory for users' states.</summary>
    public int CacheMegabytes { get; private init; } = 256;

    public string TrialsFolder => Folder ?? Path.Combine("trials", string.Join('-',
        [NewOptions().GetType().DeclaringType!.Name, DataFolder is null ? $"generated-{Users}" : "movielens", .. Options.Select(option => $"{option.Option.Name}={option.Value}")]));

    /// <summary>Makes options of the trainer that was asked for.</summary>
    public Func<CtrTrainerOptions> NewOptions { get; private init; } = s_trainers["SparseCtr"];

    /// <summary>Options of the trainer to change, by name.</summary>
    public IReadOnlyList<(PropertyInfo Option, object Value)> Options { get; private init; } = [];

    /// <summary>Changes the options that the command line names.</summary>
    public CtrTrainerOptions Apply(CtrTrainerOptions options)
    {
        options.CheckpointPath = CheckpointPath;
        foreach ((PropertyInfo option, object value) in Options)
            option.SetValue(options, value);
        return options;
    }

    /// <exception cref="ArgumentException">An argument is not known, or has no value.</exception>
    public static DemoArguments Parse(string[] args)
    {
        var result = new DemoArguments();
        var settings = new List<string>();
        for (int i = 0; i < args.Length; i++)
        {
            result = args[i] switch
            {
                "--data" => result with { DataFolder = Value(ref i) },
                "--users" => result with { Users = Number(ref i) },
                "--model" => result with { ModelPath = Value(ref i) },
                "--seed" => result with { Seed = Number(ref i) },
                "--trials" => result with { Trials = Number(ref i) },
                "--folder" => result with { Folder = Value(ref i) },
                "--checkpoint" => result with { CheckpointPath = Value(ref i) },
                "--host" => result with { Host = Address(Value(ref i)) },
                "--port" => result with { Port = Number(ref i, 0, IPEndPoint.MaxPort) },
                "--cache" => result with { CacheMegabytes = Number(ref i, 1, 1_000_000) },
                "--trainer" => result with { NewOptions = Trainer(Value(ref i)) },
                "--set" => Set(Value(ref i)),
                ['-', ..] => throw new ArgumentException($"'{args[i]}' is no option: use --data, --users, --model, --seed, --trainer, --set, --checkpoint, "
                    + "--trials, --folder, --host, --port or --cache."),
                _ => result with { Command = args[i] },
            };
        }
        CtrTrainerOptions sample = result.NewOptions();
        return result with { Options = settings.Select(setting => Option(setting, sample.GetType())).ToArray() };

        DemoArguments Set(string setting)
        {
            settings.Add(setting);
            return result;
        }

        Func<CtrTrainerOptions> Trainer(string name) => s_trainers.TryGetValue(name, out Func<CtrTrainerOptions>? found)
            ? found
            : throw new ArgumentException($"'{name}' is no trainer: use one of {string.Join(", ", s_trainers.Keys)}.");

        string Value(ref int i) => ++i < args.Length ? args[i] : throw new ArgumentException($"'{args[i - 1]}' needs a value.");

        int Number(ref int i, int least = int.MinValue, int most = int.MaxValue)
            => int.TryParse(Value(ref i), CultureInfo.InvariantCulture, out int number) && number >= least && number <= most
                ? number
                : throw new ArgumentException($"'{args[i - 1]}' needs a whole number{(least == int.MinValue ? "" : $" from {least} to {most}")}, not '{args[i]}'.");

        IPAddress Address(string text) => IPAddress.TryParse(text, out IPAddress? found)
            ? found
            : throw new ArgumentException($"'--host' needs an IP address, such as 127.0.0.1 or 0.0.0.0, not '{text}'.");
    }

    /// <summary>NumberOfEpochs=5 and the like.</summary>
    private static (PropertyInfo Option, object Value) Option(string text, Type options)
    {
        string[] parts = text.Split('=', 2);
        PropertyInfo? option = options.GetProperty(parts[0]);
        if (parts.Length < 2 || option is null || !(option.PropertyType.IsEnum || option.PropertyType == typeof(int) || option.PropertyType == typeof(double)))
            throw new ArgumentException($"'--set' needs a number or a name for an option of {options.DeclaringType!.Name}, such as NumberOfEpochs=5, not '{text}'.");
        try
        {
            return (option, option.PropertyType.IsEnum
                ? Enum.Parse(option.PropertyType, parts[1])
                : Convert.ChangeType(parts[1], option.PropertyType, CultureInfo.InvariantCulture));
        }
        catch (Exception problem) when (problem is FormatException or OverflowException or ArgumentException)
        {
            throw new ArgumentException($"'{parts[1]}' is no value for {parts[0]}, which is of type {option.PropertyType.Name}.", problem);
        }
    }

    /// <summary>The command line of the process that scores with the model that this one trains.</summary>
    public IEnumerable<string> ForScoring()
        => ["score", .. ModelAndData];

    /// <summary>The command line of the process that trains the model that this one serves.</summary>
    public IEnumerable<string> ForTraining() =>
    [
        "train", .. ModelAndData, "--seed", $"{Seed}", "--trainer", NewOptions().GetType().DeclaringType!.Name[..^"Trainer".Length],
        .. Options.SelectMany(option => new[] { "--set", string.Create(CultureInfo.InvariantCulture, $"{option.Option.Name}={option.Value}") }),
    ];

    private IEnumerable<string> ModelAndData => ["--model", ModelPath, .. DataFolder is null ? ["--users", $"{Users}"] : new[] { "--data", DataFolder }];
}
