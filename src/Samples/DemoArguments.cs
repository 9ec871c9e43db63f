using System.Globalization;

namespace SparseCtr.Samples;

/// <summary>The command line.</summary>
internal sealed record DemoArguments
{
    public string Command { get; private init; } = "train";

    /// <summary>A folder with MovieLens 100K; null takes generated data.</summary>
    public string? DataFolder { get; private init; }

    /// <summary>Users of the generated data.</summary>
    public int Users { get; private init; } = 1_500;

    public string ModelPath { get; private init; } = "ctr.zip";

    public int Epochs { get; private init; } = 3;

    public int Seed { get; private init; } = 1;

    /// <exception cref="ArgumentException">An argument is not known, or has no value.</exception>
    public static DemoArguments Parse(string[] args)
    {
        var result = new DemoArguments();
        for (int i = 0; i < args.Length; i++)
        {
            result = args[i] switch
            {
                "--data" => result with { DataFolder = Value(ref i) },
                "--users" => result with { Users = Number(ref i) },
                "--model" => result with { ModelPath = Value(ref i) },
                "--epochs" => result with { Epochs = Number(ref i) },
                "--seed" => result with { Seed = Number(ref i) },
                ['-', ..] => throw new ArgumentException($"'{args[i]}' is no option: use --data, --users, --model, --epochs or --seed."),
                _ => result with { Command = args[i] },
            };
        }
        return result;

        string Value(ref int i) => ++i < args.Length ? args[i] : throw new ArgumentException($"'{args[i - 1]}' needs a value.");

        int Number(ref int i) => int.TryParse(Value(ref i), CultureInfo.InvariantCulture, out int number)
            ? number
            : throw new ArgumentException($"'{args[i - 1]}' needs a whole number, not '{args[i]}'.");
    }

    /// <summary>The command line of the process that scores with the model that this one trains.</summary>
    public IEnumerable<string> ForScoring()
        => ["score", "--model", ModelPath, .. DataFolder is null ? ["--users", $"{Users}"] : new[] { "--data", DataFolder }];
}
