using Microsoft.ML.Runtime;
using TorchSharp;

namespace Microsoft.ML.SparseCtr.Tests;

public class DevicesTests
{
    private readonly List<string> _warnings = [];

    [Fact]
    public void Without_a_GPU_id_training_is_on_the_CPU()
    {
        Assert.Equal(DeviceType.CPU, Choose(null, fallbackToCpu: false).type);
        Assert.Equal(DeviceType.CPU, Choose(null, fallbackToCpu: true).type);
        Assert.Empty(_warnings);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(1_000)]
    public void A_GPU_that_is_not_there_is_an_error_unless_the_CPU_may_stand_in(int gpu)
    {
        string problem = $"GPU {gpu} (MLContext.GpuDeviceId) is not available: libtorch sees {torch.cuda.device_count()} CUDA devices";
        string message = Assert.Throws<InvalidOperationException>(() => Choose(gpu, fallbackToCpu: false)).Message;
        Assert.StartsWith(problem, message);
        Assert.EndsWith("Set MLContext.FallbackToCpu to train on the CPU instead.", message);
        Assert.Empty(_warnings);

        Assert.Equal(DeviceType.CPU, Choose(gpu, fallbackToCpu: true).type);
        string warning = Assert.Single(_warnings);
        Assert.StartsWith(problem, warning);
        Assert.EndsWith("Training on the CPU.", warning);
    }

    [SkippableFact]
    public void Where_there_is_no_GPU_the_message_says_what_brings_a_libtorch_that_sees_one()
    {
        Skip.If(torch.cuda.is_available(), "this machine has a GPU");
        Assert.Contains("TorchSharp-cuda-linux", Assert.Throws<InvalidOperationException>(() => Choose(0, fallbackToCpu: false)).Message);
    }

    [SkippableFact]
    public void A_GPU_that_is_there_is_used_whether_or_not_the_CPU_may_stand_in()
    {
        Gpu.SkipIfNone();
        foreach (bool fallbackToCpu in new[] { false, true })
        {
            torch.Device device = Choose(torch.cuda.device_count() - 1, fallbackToCpu);
            Assert.Equal((DeviceType.CUDA, torch.cuda.device_count() - 1), (device.type, device.index));
        }
        Assert.Empty(_warnings);
    }

    [Fact]
    public void A_training_whose_GPU_is_not_there_falls_back_to_the_one_on_the_CPU()
    {
        TinyClicks.Row[] rows = TinyClicks.Rows(100);
        SparseCtrTrainer.Options options = TinyClicks.Options();
        options.NumberOfEpochs = 1;
        Assert.Throws<InvalidOperationException>(() => TinyClicks.Fit(Context(1_000, fallbackToCpu: false), rows, options));
        Assert.Equal(Scores(Context(null, fallbackToCpu: false)), Scores(Context(1_000, fallbackToCpu: true)));
        Assert.Single(_warnings);

        float[] Scores(MLContext mlContext)
            => TinyClicks.Predict(mlContext, TinyClicks.Fit(mlContext, rows, options), rows).Select(prediction => prediction.Score).ToArray();
    }

    [Fact]
    public void What_counts_is_the_GPU_that_the_context_names_when_Fit_begins()
    {
        MLContext mlContext = Context(1_000, fallbackToCpu: false);
        SparseCtrTrainer.Options options = TinyClicks.Options();
        options.NumberOfEpochs = 1;
        IEstimator<ITransformer> pipeline = TinyClicks.Keys(mlContext).Append(mlContext.Ranking.Trainers.SparseCtr(options));
        IDataView rows = TinyClicks.View(mlContext, TinyClicks.Rows(100));
        Assert.Throws<InvalidOperationException>(() => pipeline.Fit(rows));
        mlContext.FallbackToCpu = true;
        pipeline.Fit(rows);
    }

    private torch.Device Choose(int? gpu, bool fallbackToCpu)
    {
        IHost host = ((IHostEnvironment)Context(gpu, fallbackToCpu)).Register("Trainer");
        using IChannel channel = host.Start("Training");
        return Devices.Choose(host, channel);
    }

    private MLContext Context(int? gpu, bool fallbackToCpu)
    {
        var mlContext = new MLContext(seed: 1) { GpuDeviceId = gpu, FallbackToCpu = fallbackToCpu };
        mlContext.Log += (_, message) =>
        {
            if (message.Kind == ChannelMessageKind.Warning)
                _warnings.Add(message.RawMessage);
        };
        return mlContext;
    }
}
