using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>Tables that are trained by kernels, on an emulated GPU, against those that are trained by .NET code.</summary>
public class RowwiseOptimizerTests
{
    private const int Steps = 400;

    [SkippableTheory]
    [InlineData(EmbeddingOptimizer.AdamW, 16, 0)]
    [InlineData(EmbeddingOptimizer.AdamW, 40, 0.1)]
    [InlineData(EmbeddingOptimizer.RowwiseAdagrad, 1, 0.1)]
    [InlineData(EmbeddingOptimizer.RowwiseAdagrad, 7, 0)]
    public void Kernels_train_as_dotnet_code_does(EmbeddingOptimizer optimizer, int dimension, double weightDecay)
    {
        Run expected = new(optimizer, dimension, weightDecay, onGpu: false), actual = new(optimizer, dimension, weightDecay, onGpu: true);
        expected.Train(0, Steps);
        actual.Train(0, Steps);
        AssertClose(expected.Norms, actual.Norms);
        AssertClose(expected.Completed(), actual.Completed());
    }

    [SkippableTheory]
    [InlineData(EmbeddingOptimizer.AdamW, false)]
    [InlineData(EmbeddingOptimizer.AdamW, true)]
    [InlineData(EmbeddingOptimizer.RowwiseAdagrad, false)]
    [InlineData(EmbeddingOptimizer.RowwiseAdagrad, true)]
    public void A_training_that_began_in_one_place_goes_on_in_the_other(EmbeddingOptimizer optimizer, bool toGpu)
    {
        Run expected = new(optimizer, 16, 0.01, onGpu: false), begun = new(optimizer, 16, 0.01, onGpu: !toGpu), continued = new(optimizer, 16, 0.01, onGpu: toGpu);
        expected.Train(0, Steps);
        begun.Train(0, Steps / 2);
        continued.ReplaySteps(0, Steps / 2);
        continued.CarryFrom(begun);
        continued.Train(Steps / 2, Steps);
        AssertClose(expected.Completed(), continued.Completed());
    }

    [SkippableTheory]
    [InlineData(EmbeddingOptimizer.AdamW)]
    [InlineData(EmbeddingOptimizer.RowwiseAdagrad)]
    public void A_training_that_goes_on_on_a_GPU_gives_the_same_bits(EmbeddingOptimizer optimizer)
    {
        Run expected = new(optimizer, 16, 0.01, onGpu: true), begun = new(optimizer, 16, 0.01, onGpu: true), continued = new(optimizer, 16, 0.01, onGpu: true);
        expected.Train(0, Steps);
        begun.Train(0, Steps / 2);
        continued.ReplaySteps(0, Steps / 2);
        continued.CarryFrom(begun);
        continued.Train(Steps / 2, Steps);
        Assert.Equal(expected.Completed(), continued.Completed());
    }

    /// <summary>As many duplicates of one row as take three rounds of sums, between rows of which there are few.</summary>
    [SkippableFact]
    public void The_gradients_of_a_row_that_is_looked_up_thousands_of_times_are_added_up_the_same_in_any_order_of_threads()
    {
        const int lookups = 5_000, dimension = 3, epsilon = 1_000;
        var random = new Random(1);
        long[] rows = Enumerable.Range(0, lookups).Select(_ => random.NextDouble() < 0.6 ? 40L : random.Next(90)).ToArray();
        manual_seed(1);
        Tensor gradients = randn(lookups, dimension);
        float[] expected = zeros(90, dimension, float64).index_add_(0, tensor(rows), gradients.to(float64), 1).to(float32).data<float>().ToArray();

        float[] sums = Sums(reverse: false);
        Assert.Equal(sums, Sums(reverse: true));
        for (int i = 0; i < sums.Length; i++)
            Assert.Equal(expected[i], sums[i], 1e-4);

        float[] Sums(bool reverse)
        {
            using var gpu = new Emulation(reverse);
            using var table = new EmbeddingTable(90, dimension, 0, 0);
            var rule = new RowwiseAdamW(new AdamWRule(0, 0, epsilon), 0);
            table.Optimizer = RowwiseOptimizer.Create(table, rule);
            table.forward(tensor(rows)).backward([gradients]);
            table.Optimizer.CollectGradients();
            rule.BeginStep(1);
            table.Optimizer.Update(1);
            // With no memory, a weight becomes −g/(|g| + ε).
            return table.Weight.detach().data<float>().ToArray().Select(weight => -epsilon * weight / (1 - Math.Abs(weight))).ToArray();
        }
    }

    [SkippableTheory]
    [InlineData(EmbeddingOptimizer.AdamW)]
    [InlineData(EmbeddingOptimizer.RowwiseAdagrad)]
    public void Any_order_of_threads_gives_the_same_bits(EmbeddingOptimizer optimizer)
    {
        Run forward = new(optimizer, 12, 0.1, onGpu: true), backward = new(optimizer, 12, 0.1, onGpu: true, reverse: true);
        forward.Train(0, 50);
        backward.Train(0, 50);
        Assert.Equal(forward.Norms, backward.Norms);
        Assert.Equal(forward.Completed(), backward.Completed());
    }

    [SkippableFact]
    public void A_network_with_hashed_tables_learns_the_same_by_kernels()
    {
        float[] expected = Losses(onGpu: false), actual = Losses(onGpu: true);
        for (int step = 0; step < expected.Length; step++)
            Assert.Equal(expected[step], actual[step], 1e-5);
        Assert.InRange(expected[^1], 0, expected[0] / 2);

        static float[] Losses(bool onGpu)
        {
            manual_seed(1);
            using var field = new IdEmbedding(new KeyField("Item", "Item", "History", 1_000, 30), 8);
            var rule = new RowwiseAdamW(new AdamWRule(0.9, 0.99, 1e-8), 0.01);
            using IDisposable? gpu = onGpu ? new Emulation() : null;
            foreach (EmbeddingTable table in field.Tables)
                table.Optimizer = RowwiseOptimizer.Create(table, rule);
            Tensor keys = arange(0, 64), target = randn(64, 8);
            return Enumerable.Range(0, 100).Select(_ =>
            {
                using DisposeScope scope = NewDisposeScope();
                Tensor loss = (field.forward(keys) - target).square().mean();
                loss.backward();
                foreach (EmbeddingTable table in field.Tables)
                    table.Optimizer!.CollectGradients();
                rule.BeginStep(0.05);
                foreach (EmbeddingTable table in field.Tables)
                    table.Optimizer!.Update(1);
                return loss.item<float>();
            }).ToArray();
        }
    }

    private static void AssertClose(IReadOnlyList<double> expected, IReadOnlyList<double> actual)
    {
        Assert.Equal(expected.Count, actual.Count);
        for (int i = 0; i < expected.Count; i++)
            Assert.Equal(expected[i], actual[i], 3e-6 * (1 + Math.Abs(expected[i])));
    }

    private sealed class Emulation : IDisposable
    {
        private readonly IDisposable _kernels = CudaKernels.Emulate(EmulatedGpu.Library);

        public Emulation(bool reverse = false) => EmulatedGpu.ReverseThreads(reverse);

        public void Dispose()
        {
            EmulatedGpu.ReverseThreads(false);
            _kernels.Dispose();
        }
    }

    /// <summary>A training with lookups of which some are of one row, and rows that wait for a few steps, for hundreds, or for ever.</summary>
    private sealed class Run
    {
        private const int Rows = 60;

        private readonly bool _onGpu, _reverse;
        private readonly EmbeddingTable _table;
        private readonly RowwiseRule _rule;
        private readonly RowwiseOptimizer _optimizer;

        public Run(EmbeddingOptimizer optimizer, int dimension, double weightDecay, bool onGpu, bool reverse = false)
        {
            (_onGpu, _reverse) = (onGpu, reverse);
            manual_seed(1);
            _table = new EmbeddingTable(Rows, dimension, 0, 1);
            _rule = optimizer == EmbeddingOptimizer.AdamW ? new RowwiseAdamW(new AdamWRule(0.9, 0.99, 1e-8), weightDecay) : new RowwiseAdagrad(weightDecay);
            using IDisposable? gpu = Gpu();
            _table.Optimizer = _optimizer = RowwiseOptimizer.Create(_table, _rule);
        }

        public List<double> Norms { get; } = [];

        public void Train(int from, int to)
        {
            using IDisposable? gpu = Gpu();
            for (int step = from; step < to; step++)
            {
                using DisposeScope scope = NewDisposeScope();
                var random = new Random(step);
                for (int lookup = 0; lookup < step % 3; lookup++)
                {
                    // Those of a step begin further up from time to time, where rows may have waited for more than 150 of them.
                    int first = step / 200 % 2 * 25;
                    using Tensor rows = tensor(Enumerable.Range(0, 30).Select(_ => first + (long)(33 * Math.Pow(random.NextDouble(), 3))).ToArray());
                    // Gradients that the weights have no part in: AdamW would make differences of what is left of a gradient in a minimum.
                    Tensor looked = _table.forward(rows);
                    looked.backward([tensor(Enumerable.Range(0, (int)looked.numel()).Select(_ => (float)(random.NextDouble() - 0.3)).ToArray()).reshape(looked.shape)]);
                    _optimizer.CollectGradients();
                }
                Norms.Add(_optimizer.SquaredNorm().item<double>());
                _rule.BeginStep(RateOf(step));
                _optimizer.Update(1 / (1 + 0.1 * Norms[^1]));
            }
        }

        public void ReplaySteps(int from, int to)
        {
            for (int step = from; step < to; step++)
                _rule.BeginStep(RateOf(step));
        }

        public void CarryFrom(Run other)
        {
            using var stream = new MemoryStream();
            other._optimizer.Carry(new StateStream(stream, isReading: false));
            stream.Position = 0;
            _optimizer.Carry(new StateStream(stream, isReading: true));
            Assert.Equal(stream.Length, stream.Position);
            using IDisposable noGradient = no_grad();
            _table.Weight.copy_(other._table.Weight);
        }

        public double[] Completed()
        {
            using IDisposable? gpu = Gpu();
            _optimizer.Complete(fillUnseenRows: true);
            return _table.Weight.detach().data<float>().ToArray().Select(weight => (double)weight).ToArray();
        }

        private static double RateOf(int step) => 0.01 * (1.1 + Math.Sin(step / 10.0));

        private IDisposable? Gpu() => _onGpu ? new Emulation(_reverse) : null;
    }
}
