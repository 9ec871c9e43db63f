using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using SparseCtr.Samples;

namespace Microsoft.ML.SparseCtr.Tests;

public sealed class DemoTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("sparsectr").FullName;

    private string ModelPath => Path.Combine(_folder, "ctr.zip");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("SparseCtr", "150")]
    [InlineData("Eta", "30")]
    public void The_demo_trains_saves_and_scores_in_another_process_and_ends_with_its_result(string trainer, string users)
    {
        (int exitCode, string output, string error) = Processes.RunSamples("train", "--trainer", trainer, "--users", users, "--set", "NumberOfEpochs=2", "--model", ModelPath);

        Assert.True(exitCode == 0, error);
        Assert.Contains("epoch 2/2", output);
        Assert.Contains("best reachable", output);
        Assert.Contains("the loaded model's probabilities are the trained one's", output);
        Assert.Matches(@"^result: auc=0\.\d{4} gauc=0\.\d{4} logloss=0\.\d{4} baseline_auc=0\.\d{4} rows=\d+ seconds=\d+$", output.TrimEnd().Split('\n')[^1]);

        // A process that has only the .zip and knows nothing of the trainer.
        (exitCode, output, error) = Processes.RunSamples("score", "--users", users, "--model", ModelPath);
        Assert.True(exitCode == 0, error);
        Assert.Equal(9, Regex.Matches(output, @"click probability 0\.\d{6}").Count);

        // Nor does it need libtorch, or any other native library.
        Assert.Equal((0, output, ""), Processes.RunSamplesWithoutNativeLibraries(Path.Combine(_folder, "managed"), "score", "--users", users, "--model", ModelPath));
    }

    [Fact]
    public void A_sweep_that_is_killed_again_and_again_ends_as_one_that_was_not_and_trains_nothing_twice()
    {
        string[] arguments = ["sweep", "--users", "40", "--trials", "5", "--set", "NumberOfEpochs=2", "--set", "BatchSize=32", "--set", "CheckpointSeconds=0", "--model", ModelPath];
        string trials = Path.Combine(_folder, "trials"), whole = Path.Combine(_folder, "whole");
        (int exitCode, string expected, string error) = Processes.RunSamples([.. arguments, "--folder", whole]);
        Assert.True(exitCode == 0, error);

        var random = new Random(1);
        var finished = new Dictionary<string, DateTime>();
        var output = new StringBuilder();
        Directory.CreateDirectory(trials);
        for (int kill = 0; kill < 10; kill++)
        {
            output.Append(Processes.KillSamples(trials, TimeSpan.FromMilliseconds(random.Next(300)), [.. arguments, "--folder", trials]));
            foreach (string file in Directory.GetFiles(trials, "*.json"))
                finished.TryAdd(file, File.GetLastWriteTimeUtc(file));
        }
        (exitCode, string actual, error) = Processes.RunSamples([.. arguments, "--folder", trials]);

        Assert.True(exitCode == 0, error);
        Assert.Equal(expected.TrimEnd().Split('\n')[^1], actual.TrimEnd().Split('\n')[^1]);
        Assert.All(finished, file => Assert.Equal(file.Value, File.GetLastWriteTimeUtc(file.Key)));
        Assert.Equal(5, Directory.GetFiles(trials, "*.json").Length);
        Assert.Matches(@"trial-000\d: goes on in epoch [12] of 2", output + actual);
        Assert.Equal(Results(whole), Results(trials));
        Assert.Empty(Directory.GetFiles(trials, "running*"));

        static IEnumerable<double> Results(string folder) => new TrialFolder(folder).Trials.SelectMany(trial => trial.ValidationAucs.Append(trial.Value));
    }

    [Theory]
    [InlineData("no such folder or file", "train", "--data", "/nowhere")]
    [InlineData("'--users' needs a whole number, not 'many'", "train", "--users", "many")]
    [InlineData("'many' is no value for NumberOfEpochs, which is of type Int32", "train", "--set", "NumberOfEpochs=many")]
    [InlineData("needs a number or a name for an option of SparseCtrTrainer", "train", "--set", "Magic=1")]
    [InlineData("needs a number or a name for an option of EtaTrainer", "train", "--trainer", "Eta", "--set", "NumberOfBlocks=1")]
    [InlineData("'Magic' is no trainer: use one of SparseCtr, Eta, TargetAttention, DenseAttention.", "train", "--trainer", "Magic")]
    [InlineData("'--fast' is no option", "train", "--fast")]
    [InlineData("'dance' is no command", "dance")]
    public void A_mistake_on_the_command_line_is_one_line_of_error(string message, params string[] arguments)
    {
        (int exitCode, _, string error) = Processes.RunSamples(arguments);
        Assert.Equal(1, exitCode);
        Assert.Contains(message == "no such folder or file" ? "grouplens.org/datasets/movielens/100k" : message, Assert.Single(error.TrimEnd().Split('\n')));
    }

    [Fact]
    public void Generated_clicks_are_the_same_every_time_and_their_best_predictions_are_calibrated()
    {
        ClickData first = GeneratedData.Create(users: 300), second = GeneratedData.Create(users: 300);
        Assert.Equal(first.Rows.Select(row => (row.User, row.Item, row.Timestamp, row.Label)), second.Rows.Select(row => (row.User, row.Item, row.Timestamp, row.Label)));

        // Who predicts as well as can be is right on average: at every level, and whatever the user did with the item's category before.
        AssertCalibrated(first.Rows.GroupBy(row => (int)(row.BestPrediction * 5)));
        var clickedBefore = new Dictionary<(int User, int Category), bool>();
        AssertCalibrated(first.Rows.GroupBy(row =>
        {
            (int, int) shown = (row.User, row.Category);
            string before = clickedBefore.TryGetValue(shown, out bool clicked) ? $"clicked: {clicked}" : "never shown";
            clickedBefore[shown] = row.Label;
            return before;
        }));

        static void AssertCalibrated<T>(IEnumerable<IGrouping<T, global::SparseCtr.Samples.Impression>> groups)
        {
            foreach (IGrouping<T, global::SparseCtr.Samples.Impression> rows in groups)
            {
                double clicked = rows.Average(row => row.Label ? 1.0 : 0), predicted = rows.Average(row => row.BestPrediction);
                Assert.InRange(Math.Abs(clicked - predicted) * Math.Sqrt(rows.Count()), 0, 4 * 0.5);
            }
        }
    }

    [SkippableFact]
    public void MovieLens_is_read_from_either_of_its_two_forms()
    {
        ClickData data = MovieLens.Load(MovieLensFolder());
        Assert.Equal((100_000, 943, 0.554), (data.Rows.Length, data.Rows.Select(row => row.User).Distinct().Count(), Math.Round(data.Rows.Average(row => row.Label ? 1.0 : 0), 3)));

        WriteOriginalForm(MovieLensFolder());
        ClickData original = MovieLens.Load(_folder);
        Assert.Equal(data.Rows.Select(row => (row.User, row.Item, row.Timestamp, row.Label, row.Age, row.Request)),
            original.Rows.Select(row => (row.User, row.Item, row.Timestamp, row.Label, row.Age, row.Request)));
    }

    [SkippableFact]
    public void SparseCtr_learns_MovieLens_far_beyond_popularity()
    {
        string data = MovieLensFolder();
        (int exitCode, string output, string error) = Processes.RunSamples("train", "--data", data, "--set", "NumberOfEpochs=1", "--model", ModelPath);
        Assert.True(exitCode == 0, error);
        string result = output.TrimEnd().Split('\n')[^1];
        Assert.InRange(Value("auc"), 0.755, 0.80);
        Assert.InRange(Value("auc") - Value("baseline_auc"), 0.03, 0.20);

        double Value(string name) => double.Parse(Regex.Match(result, $@" {name}=([\d.]+)").Groups[1].Value, CultureInfo.InvariantCulture);
    }

    /// <summary>The folder shared/data beside the repository.</summary>
    private static string MovieLensFolder()
    {
        string? folder = AppContext.BaseDirectory;
        while (folder is not null && !File.Exists(Path.Combine(folder, "SparseCtr.MLNet.sln")))
            folder = Path.GetDirectoryName(folder);
        string data = Path.Combine(folder ?? "", "..", "shared", "data");
        Skip.IfNot(File.Exists(Path.Combine(data, "ml-100k.inter")),
            "MovieLens 100K is not at ../shared/data: get it from grouplens.org/datasets/movielens/100k (its license forbids passing it on)");
        return data;
    }

    /// <summary>Rewrites the files as GroupLens has them: u.data, u.user and u.item, without headers.</summary>
    private void WriteOriginalForm(string from)
    {
        File.WriteAllLines(Path.Combine(_folder, "u.data"), File.ReadLines(Path.Combine(from, "ml-100k.inter")).Skip(1));
        File.WriteAllLines(Path.Combine(_folder, "u.user"), File.ReadLines(Path.Combine(from, "ml-100k.user")).Skip(1).Select(line => line.Replace('\t', '|')));
        File.WriteAllLines(Path.Combine(_folder, "u.item"), File.ReadLines(Path.Combine(from, "ml-100k.item")).Skip(1).Select(line =>
        {
            string[] fields = line.Split('\t');
            string[] genres = fields[3].Split(' ');
            return string.Join('|', [fields[0], fields[1], $"01-Jan-{fields[2]}", "", "", .. MovieLens.OriginalGenreNames.Select(genre => genres.Contains(genre) ? "1" : "0")]);
        }));
    }
}
