using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr.Tests;

public sealed class RowwiseAdagradOnCpuTests() : RowwiseAdagradTests(gpu: null);

public sealed class RowwiseAdagradOnGpuTests() : RowwiseAdagradTests(CudaKernels.Emulate(EmulatedGpu.Library));

public abstract class RowwiseAdagradTests(IDisposable? gpu) : IDisposable
{
    private const int Rows = 30, Dimension = 11, Looked = 12;

    public void Dispose() => gpu?.Dispose();

    [SkippableTheory]
    [InlineData(0, 1)]
    [InlineData(0.1, 1)]
    [InlineData(0.1, 0.25)]
    public void It_gives_what_a_loop_over_the_whole_table_gives(double weightDecay, double scale)
    {
        manual_seed(1);
        using var table = new EmbeddingTable(Rows, Dimension, 0, 1);
        var rule = new RowwiseAdagrad(weightDecay);
        table.Optimizer = RowwiseOptimizer.Create(table, rule);
        double[] weights = table.Weight.detach().data<float>().ToArray().Select(value => (double)value).ToArray();
        var sums = new double[Rows];
        var random = new Random(1);

        for (int step = 0; step < 200; step++)
        {
            using DisposeScope scope = NewDisposeScope();
            double rate = 0.1 * (1 + Math.Sin(step / 10.0)) / 2;
            long[] rows = Enumerable.Range(0, Looked).Select(_ => (long)((Rows - 1) * Math.Pow(random.NextDouble(), 3))).ToArray();
            Tensor target = randn(Looked, Dimension);
            (table.forward(tensor(rows)) - target).square().sum().backward();
            table.Optimizer.CollectGradients();
            double norm = table.Optimizer.SquaredNorm().item<double>();
            rule.BeginStep(rate);
            table.Optimizer.Update(scale);

            var gradients = new double[Rows * Dimension];
            float[] targets = target.data<float>().ToArray();
            for (int i = 0; i < targets.Length; i++)
            {
                long place = rows[i / Dimension] * Dimension + i % Dimension;
                gradients[place] += 2 * (weights[place] - targets[i]);
            }
            Assert.Equal(gradients.Sum(g => g * g), norm, 1e-3 * norm);
            for (int row = 0; row < Rows; row++)
            {
                double[] own = gradients[(row * Dimension)..((row + 1) * Dimension)].Select(g => scale * g).ToArray();
                sums[row] += own.Average(g => g * g);
                for (int i = 0; i < Dimension; i++)
                {
                    ref double weight = ref weights[row * Dimension + i];
                    weight = (1 - rate * weightDecay) * weight - (own[i] == 0 ? 0 : rate * own[i] / Math.Sqrt(sums[row]));
                }
            }
        }
        table.Optimizer.Complete(fillUnseenRows: false);

        // A row never looked up waits for ever: its decay alone, which no one sees, is not made up for.
        float[] actual = table.Weight.data<float>().ToArray();
        for (int i = 0; i < (Rows - 1) * Dimension; i++)
            Assert.Equal(weights[i], actual[i], 1e-4);
    }

    [SkippableFact]
    public void A_network_learns_with_it_as_its_optimizer_is_asked_to()
    {
        manual_seed(1);
        SparseCtrTrainer.Options sizes = TestRequests.Sizes with { AttentionImplementation = AttentionImplementation.Reference };
        using CtrNetwork network = sizes.CreateNetwork(TestRequests.Config with { Options = sizes });
        using var optimizer = new NetworkOptimizer(network, new SparseCtrTrainer.Options { EmbeddingOptimizer = EmbeddingOptimizer.RowwiseAdagrad });
        Request[] requests = Enumerable.Range(0, 8).Select(seed => TestRequests.Request(10, 2, seed)).ToArray();
        network.train();
        double[] losses = Enumerable.Range(0, 100).Select(_ =>
        {
            using DisposeScope scope = NewDisposeScope();
            using PackedBatch batch = PackedBatch.Create(requests, network, CPU);
            optimizer.ClearGradients();
            Tensor labels = arange(0, 16).remainder(2).to(float32);
            Tensor loss = nn.functional.binary_cross_entropy_with_logits(network.forward(batch), labels);
            optimizer.Backward(loss);
            optimizer.Step(0.02);
            return (double)loss.item<float>();
        }).ToArray();
        Assert.InRange(losses[^1], 0, losses[0] / 2);
    }
}
