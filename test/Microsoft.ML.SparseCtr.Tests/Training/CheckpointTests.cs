using System.IO.Compression;
using System.Text;
using Microsoft.ML.Data;
using TorchSharp;

namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>Trainings that are interrupted, and go on.</summary>
public sealed class CheckpointTests : IDisposable
{
    private const int Epochs = 3;

    private readonly string _folder = Directory.CreateTempSubdirectory("sparsectr").FullName;

    private string CheckpointPath => Path.Combine(_folder, "training.checkpoint");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>Interrupted after its first step, in the middle of an epoch, at an epoch's end, and so on, again and again.</summary>
    [Theory]
    [InlineData("SparseCtr", EmbeddingOptimizer.AdamW, 8)]
    [InlineData("SparseCtr", EmbeddingOptimizer.RowwiseAdagrad, 1)]
    [InlineData("Eta", EmbeddingOptimizer.AdamW, 8)]
    [InlineData("Eta", EmbeddingOptimizer.RowwiseAdagrad, 1)]
    [InlineData("TargetAttention", EmbeddingOptimizer.AdamW, 1)]
    [InlineData("DenseAttention", EmbeddingOptimizer.AdamW, 8)]
    public void A_training_that_is_interrupted_again_and_again_ends_with_the_same_weights(string trainer, EmbeddingOptimizer optimizer, int requestsPerHistory)
    {
        CtrTrainerOptions options = Options(trainer);
        (options.EmbeddingOptimizer, options.RequestsPerHistory) = (optimizer, requestsPerHistory);
        var reports = new List<TrainingProgress>();
        byte[] expected = Train(options, reports.Add);
        float nextOfLibTorch = torch.rand(1).item<float>();
        int stepsPerEpoch = reports[0].StepsPerEpoch;
        Assert.Equal(Epochs * (stepsPerEpoch + 1), reports.Count);

        (options.CheckpointPath, options.CheckpointSeconds) = (CheckpointPath, 0);
        var done = new List<TrainingProgress>();
        int interruptions = 0;
        foreach (int reportsUntilThen in new[] { 1, 1, 2, stepsPerEpoch, stepsPerEpoch - 2, 3, 2 })
        {
            int left = reportsUntilThen;
            Assert.Throws<Interruption>(() => Train(options, report =>
            {
                done.Add(report);
                ThrowAt(ref left);
            }));
            interruptions++;
        }
        Assert.Equal(expected, Train(options, done.Add));

        Assert.Equal(nextOfLibTorch, torch.rand(1).item<float>());
        Assert.False(File.Exists(CheckpointPath));
        // Who is interrupted while it reports has not saved the step: it is done once more, and no other is.
        Assert.Equal(reports.Count + interruptions, done.Count);
        Assert.Equal(reports.Select(Lasting), done.Select(Lasting).Distinct());

        static object Lasting(TrainingProgress report) => report with { RowsPerSecond = 0 };
    }

    [Fact]
    public void A_training_that_ended_at_its_last_epoch_or_step_is_finished_from_there()
    {
        CtrTrainerOptions options = Options();
        var reports = new List<TrainingProgress>();
        byte[] expected = Train(options, reports.Add);
        options.CheckpointPath = CheckpointPath;
        foreach (double seconds in new[] { 0, 1e6 })
        {
            options.CheckpointSeconds = seconds;
            int left = reports.Count;
            Assert.Throws<Interruption>(() => Train(options, _ => ThrowAt(ref left)));
            var done = new List<TrainingProgress>();
            Assert.Equal(expected, Train(options, done.Add));
            // With a checkpoint after the last step, its epoch alone is to be ended; with those at the end of epochs, all of it is to be trained.
            Assert.Equal(seconds == 0 ? 1 : reports[0].StepsPerEpoch + 1, done.Count);
        }
    }

    [Fact]
    public void Patience_ends_a_training_that_goes_on_where_it_would_have_ended()
    {
        CtrTrainerOptions options = Options();
        (options.NumberOfEpochs, options.EarlyStoppingPatience, options.LearningRate) = (12, 1, 0.1);
        var reports = new List<TrainingProgress>();
        byte[] expected = Train(options, reports.Add);
        Assert.InRange(reports[^1].Epoch, 2, 11);

        options.CheckpointPath = CheckpointPath;
        foreach (int reportsUntilThen in new[] { reports.Count - 1, 1 })
        {
            int left = reportsUntilThen;
            Assert.Throws<Interruption>(() => Train(options, _ => ThrowAt(ref left)));
        }
        Assert.Equal(expected, Train(options));
    }

    [Fact]
    public void Without_a_seed_a_training_goes_on_with_the_one_that_it_began_with()
    {
        CtrTrainerOptions options = Options();
        (options.Seed, options.CheckpointPath, options.CheckpointSeconds) = (null, CheckpointPath, 0);
        int left = 8;
        Assert.Throws<Interruption>(() => Train(options, _ => ThrowAt(ref left)));
        byte[] begun = File.ReadAllBytes(CheckpointPath);
        byte[] first = Train(options);
        File.WriteAllBytes(CheckpointPath, begun);
        Assert.Equal(first, Train(options));
    }

    [Fact]
    public void A_trial_that_goes_on_has_the_curve_and_the_time_of_before_and_keeps_its_checkpoint_until_it_is_finished()
    {
        CtrTrainerOptions options = Options() with { CheckpointPath = CheckpointPath };
        MedianRule uninterrupted = new([]), interrupted = new([]), rule = new([]);
        Train(Options(), trial: new RunningTrial(uninterrupted, null, ""));
        Assert.Equal(Epochs, uninterrupted.Aucs.Length);

        Assert.Throws<Interruption>(() => Train(options, trial: new RunningTrial(interrupted, new DirectProgress(report => ThrowAt(report.Epoch == Epochs)), "")));
        Assert.Equal(Epochs - 1, interrupted.Aucs.Length);
        var trial = new RunningTrial(rule, null, "");
        Train(options, trial: trial);
        Assert.Equal(uninterrupted.Aucs, rule.Aucs);
        Assert.True(trial.TimeBefore > TimeSpan.Zero);

        // Trained to its end, there is nothing left to train.
        Assert.True(File.Exists(CheckpointPath));
        Train(options, _ => Assert.Fail("A step."), new RunningTrial(new([]), null, ""));
    }

    [Fact]
    public void A_checkpoint_of_another_training_is_refused_and_left_as_it_is()
    {
        CtrTrainerOptions options = Begun();
        byte[] before = File.ReadAllBytes(CheckpointPath);
        Refused(options with { LearningRate = 0.02 }, TinyClicks.Rows(400), "model.network.options.learningRate to be 0.01, not 0.02");
        Refused(options with { Seed = 8 }, TinyClicks.Rows(400), "seed to be 7, not 8");
        Refused(options, TinyClicks.Rows(300), "model.network.numericFields[0].mean[0] to be ");
        Assert.Equal(before, File.ReadAllBytes(CheckpointPath));

        void Refused(CtrTrainerOptions other, TinyClicks.Row[] rows, string difference)
        {
            string message = Assert.Throws<InvalidOperationException>(() => TinyClicks.Fit(new MLContext(), rows, other)).Message;
            Assert.Contains($"'{CheckpointPath}' is the checkpoint of another training: expected {difference}", message);
        }
    }

    [Fact]
    public void A_checkpoint_does_not_say_on_which_device_it_was_written()
    {
        Begun();
        string text = Encoding.UTF8.GetString(File.ReadAllBytes(CheckpointPath));
        Assert.Contains("\"seed\":7", text);
        Assert.DoesNotContain("device", text, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public void A_damaged_checkpoint_is_refused_and_left_as_it_is()
    {
        CtrTrainerOptions options = Begun();
        byte[] whole = File.ReadAllBytes(CheckpointPath), flipped = [.. whole];
        flipped[whole.Length / 2] ^= 1;
        byte[] foreign = Encoding.UTF8.GetBytes("what somebody else keeps under this name, more than a hash has");
        foreach (byte[] damaged in new[] { [], whole[..20], whole[..^1], [.. whole, 0], flipped, foreign })
        {
            File.WriteAllBytes(CheckpointPath, damaged);
            Assert.Contains($"'{CheckpointPath}' is no checkpoint of a training, or a damaged one", Assert.Throws<FormatException>(() => Train(options)).Message);
            Assert.Equal(damaged, File.ReadAllBytes(CheckpointPath));
        }
    }

    [Fact]
    public void A_checkpoint_that_cannot_be_written_leaves_the_one_before()
    {
        CtrTrainerOptions options = Begun();
        byte[] before = File.ReadAllBytes(CheckpointPath);
        Directory.CreateDirectory(CheckpointPath + ".tmp");
        Assert.ThrowsAny<Exception>(() => Train(options));
        Assert.Equal(before, File.ReadAllBytes(CheckpointPath));

        var checkpoint = new Checkpoint(CheckpointPath);
        Directory.Delete(CheckpointPath + ".tmp");
        Assert.Throws<IOException>(() => checkpoint.Save([], 1, _ => throw new IOException("No space left on device.")));
        Assert.Equal(before, File.ReadAllBytes(CheckpointPath));
        Assert.Equal(Train(Options()), Train(options));
    }

    /// <summary>Options of which everything that a checkpoint holds depends on something: hidden items, dropout of all kinds, and embeddings with momentum.</summary>
    private static CtrTrainerOptions Options(string trainer = "SparseCtr")
    {
        CtrTrainerOptions options = TinyClicks.Options(trainer);
        (options.NumberOfEpochs, options.Seed, options.ItemDropout, options.Dropout, options.TokenDropout) = (Epochs, 7, 0.3, 0.1, 0.2);
        // Smaller than the data, so that the order depends on the random numbers that were drawn while it was read.
        options.ShufflePoolSize = 100;
        return options;
    }

    /// <summary>The options of a training that has been interrupted.</summary>
    private CtrTrainerOptions Begun()
    {
        CtrTrainerOptions options = Options() with { CheckpointPath = CheckpointPath, CheckpointSeconds = 0 };
        int left = 5;
        Assert.Throws<Interruption>(() => Train(options, _ => ThrowAt(ref left)));
        return options;
    }

    private static void ThrowAt(ref int reportsLeft) => ThrowAt(--reportsLeft == 0);

    private static void ThrowAt(bool isTime)
    {
        if (isTime)
            throw new Interruption();
    }

    /// <summary>Trains, and gives the weights as they are saved.</summary>
    private static byte[] Train(CtrTrainerOptions options, Action<TrainingProgress>? report = null, RunningTrial? trial = null)
    {
        var mlContext = new MLContext();
        TinyClicks.Row[] rows = TinyClicks.Rows(400);
        // Every other row has the history of the one before.
        for (int i = 1; i < rows.Length; i += 2)
        {
            TinyClicks.Row before = rows[i - 1];
            (rows[i].HistoryItem, rows[i].HistoryKind) = (before.HistoryItem, before.HistoryKind);
            (rows[i].HistoryAction, rows[i].HistoryTimestamp) = (before.HistoryAction, before.HistoryTimestamp);
        }
        IDataView view = TinyClicks.View(mlContext, rows);
        CtrTrainer trainer = TinyClicks.Trainer(mlContext, options, report is null ? null : new DirectProgress(report));
        trainer.Trial = trial;
        using TransformerChain<CtrTransformer> model = TinyClicks.Keys(mlContext).Append(trainer).Fit(view);

        using var file = new MemoryStream();
        mlContext.Model.Save(model, view.Schema, file);
        using var zip = new ZipArchive(file);
        using Stream weights = zip.Entries.Single(entry => entry.Name == "weights.safetensors").Open();
        using var bytes = new MemoryStream();
        weights.CopyTo(bytes);
        return bytes.ToArray();
    }

    private sealed class Interruption : Exception;
}
