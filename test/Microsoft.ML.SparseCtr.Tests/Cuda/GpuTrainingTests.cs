using Microsoft.ML.Data;
using SparseCtr.Samples;
using TorchSharp;

namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>A training on a GPU is held to the same training on the CPU.</summary>
public sealed class GpuTrainingTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("sparsectr").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>Without dropout, of which a GPU draws its own: with it, one seed's AUC differs from another's by as much as this test allows.</summary>
    [SkippableFact]
    public void The_demo_trains_to_the_AUC_of_the_CPU()
    {
        Gpu.SkipIfNone();
        ClickData data = GeneratedData.Create();
        SparseCtrTrainer.Options options = Demo.OptionsFor(data, new SparseCtrTrainer.Options());
        (options.Dropout, options.TokenDropout) = (0, 0);
        Assert.InRange(Auc(gpu: 0) - Auc(gpu: null), -0.003, 0.003);

        double Auc(int? gpu)
        {
            var mlContext = new MLContext(seed: 1) { GpuDeviceId = gpu };
            IDataView log = mlContext.Data.LoadFromEnumerable(data.Rows);
            TimeSplit split = mlContext.Data.SplitByTime(log, testFraction: Demo.TestFraction);
            ITransformer model = Demo.Pipeline(mlContext, log, options).Fit(split.TrainSet);
            return mlContext.Ranking.EvaluateCtr(model.Transform(split.TestSet)).AreaUnderRocCurve;
        }
    }

    [SkippableFact]
    public void A_batch_is_packed_for_a_GPU_as_for_the_CPU()
    {
        Gpu.SkipIfNone();
        using CtrNetwork network = TestRequests.Network(TestRequests.Config);
        Request[] requests = [TestRequests.Request(73, 5), TestRequests.Request(0, 1), TestRequests.Request(9, 2)];
        // Many at a time, so that pinned memory is used again while copies of it may not have ended.
        PackedBatch[] packed = Enumerable.Range(0, 100).Select(_ => PackedBatch.Create(requests, network, torch.CUDA)).ToArray();
        using PackedBatch expected = PackedBatch.Create(requests, network, torch.CPU);
        foreach (PackedBatch batch in packed)
        {
            using PackedBatch used = batch;
            Assert.All(batch.Tensors, tensor => Assert.True(tensor.is_cuda));
            Assert.Equal(expected.Tensors, batch.Tensors.Select(tensor => tensor.cpu()));
        }
    }

    /// <summary>Without dropout only rounding differs.</summary>
    [SkippableTheory]
    [InlineData(EmbeddingOptimizer.AdamW)]
    [InlineData(EmbeddingOptimizer.RowwiseAdagrad)]
    public void A_checkpoint_goes_from_the_CPU_to_a_GPU_and_back(EmbeddingOptimizer optimizer)
    {
        Gpu.SkipIfNone();
        TinyClicks.Row[] rows = TinyClicks.Rows(2_000), testRows = TinyClicks.Rows(200, seed: 2);
        SparseCtrTrainer.Options options = TinyClicks.Options();
        (options.EmbeddingOptimizer, options.NumberOfEpochs) = (optimizer, 3);
        float[] expected = Train(gpu: null);

        (options.CheckpointPath, options.CheckpointSeconds) = (Path.Combine(_folder, "training.checkpoint"), 0);
        Assert.Throws<OperationCanceledException>(() => Train(gpu: null, steps: 20));
        Assert.Throws<OperationCanceledException>(() => Train(gpu: 0, steps: 20));
        float[] actual = Train(gpu: null);

        Assert.InRange(expected.Zip(actual, (one, other) => Math.Abs(one - other)).Max(), 0, 0.01);

        float[] Train(int? gpu, int steps = int.MaxValue)
        {
            var mlContext = new MLContext(seed: 1) { GpuDeviceId = gpu };
            using var source = new CancellationTokenSource();
            var progress = new DirectProgress(_ =>
            {
                if (--steps == 0)
                    source.Cancel();
            });
            SparseCtrTrainer trainer = mlContext.Ranking.Trainers.SparseCtr(options, progress, source.Token);
            using TransformerChain<CtrTransformer> model = TinyClicks.Keys(mlContext).Append(trainer).Fit(TinyClicks.View(mlContext, rows));
            return TinyClicks.Predict(mlContext, model, testRows).Select(prediction => prediction.Probability).ToArray();
        }
    }

    [SkippableTheory]
    [MemberData(nameof(TestRequests.NamesOfNetworks), MemberType = typeof(TestRequests))]
    public void What_was_trained_on_a_GPU_scores_in_NET_code_as_there(string name)
    {
        Gpu.SkipIfNone();
        using CtrNetwork network = TestRequests.Network(TestRequests.Config.With(name), dtype: torch.float32);
        network.to(torch.CUDA);
        Request request = TestRequests.Request(73, 5);
        float[] scores = ScoringNetwork.Create(network.Config, network.CopyWeights()).Score(request);
        TestRequests.AssertClose(name, TestRequests.Score(network, request), [.. scores], 1e-4);
    }
}
