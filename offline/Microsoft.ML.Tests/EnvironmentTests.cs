using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Tests;

public class EnvironmentTests
{
    private readonly MLContext _ml = new(seed: 5);

    [Fact]
    public void MessagesReachTheLogWithSourceAndKind()
    {
        var messages = new List<LoggingEventArgs>();
        _ml.Log += (_, message) => messages.Add(message);
        using (var channel = ((IHostEnvironment)_ml).Register("Trainer").Start("Training"))
        {
            channel.Info(MessageSensitivity.None, "Epoch 1 {of} 2");
            channel.Warning(MessageSensitivity.None, "{0} rows skipped", 3);
        }
        Assert.All(messages, message => Assert.Equal("Trainer; Training", message.Source));
        Assert.Equal([ChannelMessageKind.Trace, ChannelMessageKind.Info, ChannelMessageKind.Warning, ChannelMessageKind.Trace],
            messages.Select(message => message.Kind));
        Assert.Equal("Epoch 1 {of} 2", messages[1].RawMessage);
        Assert.Equal("[Source=Trainer; Training, Kind=Warning] 3 rows skipped", messages[2].Message);
    }

    [Fact]
    public void HostsTakeASnapshotOfTheSettings()
    {
        var env = (IHostEnvironmentInternal)_ml;
        Assert.Equal((5, null, false), (env.Seed, env.GpuDeviceId, env.FallbackToCpu));
        _ml.GpuDeviceId = 1;
        _ml.FallbackToCpu = true;
        var host = (IHostEnvironmentInternal)env.Register("Host");
        _ml.GpuDeviceId = 2;
        Assert.Equal((5, 1, true), (host.Seed, host.GpuDeviceId, host.FallbackToCpu));
        Assert.Equal(2, ((IHostEnvironmentInternal)_ml.Ranking.Trainers.GetEnvironment()).GpuDeviceId);
        Assert.Null(((IHostEnvironmentInternal)new MLContext()).Seed);
    }

    [Fact]
    public void TheSeedFixesTheRandomNumbersOfHosts()
    {
        static int Next(MLContext context) => ((IHostEnvironment)context).Register("Host").Rand.Next();
        Assert.Equal(Next(new MLContext(1)), Next(new MLContext(1)));
        Assert.NotEqual(Next(new MLContext(1)), Next(new MLContext(2)));
    }

    [Fact]
    public void CancellationReachesHostsAndStays()
    {
        var host = ((IHostEnvironment)_ml).Register("Host");
        host.CheckAlive();
        _ml.CancelExecution();
        Assert.Throws<OperationCanceledException>(host.CheckAlive);
        Assert.Throws<OperationCanceledException>(host.CheckAlive);
        Assert.Throws<OperationCanceledException>(((IHostEnvironment)_ml).Register("Later").CheckAlive);
    }

    [Fact]
    public void ExceptionsAreAttributedToTheirContext()
    {
        var host = ((IHostEnvironment)_ml).Register("Host");
        var error = host.Process(new InvalidOperationException("x"));
        Assert.Equal("Host", error.Data["Context"]);
        Assert.Equal("Could not find label column 'Nope'", host.ExceptSchemaMismatch(null, "label", "Nope").Message);
        Assert.Equal("Schema mismatch for label column 'Rel': expected Boolean, got Single",
            Contracts.ExceptSchemaMismatch(null, "label", "Rel", "Boolean", "Single").Message);
    }

    [Fact]
    public void ProgressIsNotLogged()
    {
        bool logged = false;
        _ml.Log += (_, _) => logged = true;
        using var progress = ((IHostEnvironment)_ml).StartProgressChannel("Training");
        progress.SetHeader(new ProgressHeader(["Loss"], ["epochs"]), entry => entry.SetProgress(0, 1));
        progress.Checkpoint(0.5, 1);
        Assert.False(logged);
    }

    [Fact]
    public void ScoreColumnsOfTrainersHaveTheirAnnotations() =>
        Assert.Equal(["ScoreColumnSetId", "ScoreColumnKind", "ScoreValueKind", "IsNormalized"],
            AnnotationUtils.GetTrainerOutputAnnotation(isNormalized: true).Select(column => column.Name));
}
