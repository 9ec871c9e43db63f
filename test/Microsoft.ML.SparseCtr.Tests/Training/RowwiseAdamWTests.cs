using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr.Tests;

public sealed class RowwiseAdamWOnCpuTests() : RowwiseAdamWTests(gpu: null);

public sealed class RowwiseAdamWOnGpuTests() : RowwiseAdamWTests(CudaKernels.Emulate(EmulatedGpu.Library));

public abstract class RowwiseAdamWTests(IDisposable? gpu) : IDisposable
{
    private const int Rows = 40, Dimension = 5;

    public void Dispose() => gpu?.Dispose();

    [SkippableTheory]
    [InlineData(0, 1)]
    [InlineData(0.1, 1)]
    [InlineData(0.01, 3)]
    public void It_gives_what_AdamW_over_the_whole_table_gives(double weightDecay, int lookupsPerStep)
    {
        manual_seed(1);
        using var table = new EmbeddingTable(Rows, Dimension, 0, 1);
        var rule = new RowwiseAdamW(new AdamWRule(0.9, 0.99, 1e-8), weightDecay);
        table.Optimizer = RowwiseOptimizer.Create(table, rule);
        var whole = new Parameter(table.Weight.detach().clone());
        using AdamW reference = optim.AdamW([new AdamW.ParamGroup([whole], 1e-2, 0.9, 0.99, 1e-8, weightDecay)]);
        var random = new Random(1);

        // Some rows are looked up often, some seldom, the last one never, and every batch has duplicates.
        for (int step = 0; step < 300; step++)
        {
            double rate = 1e-2 * (1 + Math.Sin(step / 10.0)) / 2;
            reference.zero_grad();
            using DisposeScope scope = NewDisposeScope();
            for (int i = 0; i < lookupsPerStep; i++)
            {
                Tensor rows = tensor(Enumerable.Range(0, 12).Select(_ => (long)((Rows - 1) * Math.Pow(random.NextDouble(), 4))).ToArray());
                Tensor target = randn(12, Dimension);
                (table.forward(rows) - target).square().sum().backward();
                table.Optimizer.CollectGradients();
                (whole.index_select(0, rows) - target).square().sum().backward();
            }
            foreach (optim.ILearningRateController group in reference.ParamGroups)
                group.LearningRate = rate;
            reference.step();
            rule.BeginStep(rate);
            table.Optimizer.Update(scale: 1);
        }
        table.Optimizer.Complete(fillUnseenRows: false);

        // A row never looked up waits for ever: its decay alone, which no one sees, is not made up for.
        Tensor difference = (table.Weight - whole).abs().narrow(0, 0, Rows - 1);
        Assert.InRange(difference.max().item<float>(), 0, 2e-4);
    }

    [SkippableTheory]
    [InlineData(1)]
    [InlineData(149)]
    [InlineData(150)]
    [InlineData(151)]
    [InlineData(700)]
    public void A_row_that_waits_for_any_number_of_steps_becomes_what_AdamW_makes_of_it(int wait)
    {
        manual_seed(1);
        using var table = new EmbeddingTable(2, Dimension, 0, 1);
        var rule = new RowwiseAdamW(new AdamWRule(0.9, 0.99, 1e-8), 0.1);
        table.Optimizer = RowwiseOptimizer.Create(table, rule);
        var whole = new Parameter(table.Weight.detach().clone());
        using AdamW reference = optim.AdamW([new AdamW.ParamGroup([whole], 1e-2, 0.9, 0.99, 1e-8, 0.1)]);
        for (int step = 0; step <= 10 + wait; step++)
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor row = tensor(new long[] { step is < 10 || step == 10 + wait ? 1 : 0 }), target = randn(1, Dimension);
            reference.zero_grad();
            (table.forward(row) - target).square().sum().backward();
            table.Optimizer.CollectGradients();
            (whole.index_select(0, row) - target).square().sum().backward();
            foreach (optim.ILearningRateController group in reference.ParamGroups)
                group.LearningRate = 1e-2 * (1 + Math.Sin(step / 10.0)) / 2;
            reference.step();
            rule.BeginStep(reference.ParamGroups.First().LearningRate);
            table.Optimizer.Update(scale: 1);
        }
        table.Optimizer.Complete(fillUnseenRows: false);
        Assert.InRange((table.Weight - whole).abs().max().item<float>(), 0, 1e-4);
    }

    [SkippableFact]
    public void A_lookup_of_no_rows_changes_none()
    {
        using var table = new EmbeddingTable(Rows, Dimension, 0, 1);
        var rule = new RowwiseAdamW(new AdamWRule(0.9, 0.99, 1e-8), 0.1);
        table.Optimizer = RowwiseOptimizer.Create(table, rule);
        float[] before = table.Weight.detach().data<float>().ToArray();
        Tensor looked = table.forward(empty(0, int64));
        Assert.Equal([0, Dimension], looked.shape);
        looked.sum().backward();
        table.Optimizer.CollectGradients();
        Assert.Equal(0, table.Optimizer.SquaredNorm().item<double>());
        rule.BeginStep(1e-2);
        table.Optimizer.Update(scale: 1);
        table.Optimizer.Complete(fillUnseenRows: false);
        Assert.Equal(before, table.Weight.detach().data<float>().ToArray());
    }

    [SkippableFact]
    public void Scaled_gradients_are_those_of_a_clipped_norm()
    {
        float[] Weights(double scale, float factor)
        {
            manual_seed(1);
            using var table = new EmbeddingTable(Rows, Dimension, 0, 1);
            var rule = new RowwiseAdamW(new AdamWRule(0.9, 0.99, 1e-8), 0);
            table.Optimizer = RowwiseOptimizer.Create(table, rule);
            for (int step = 0; step < 3; step++)
            {
                (table.forward(arange(0, 4)) * factor).square().sum().backward();
                table.Optimizer.CollectGradients();
                rule.BeginStep(1e-2);
                table.Optimizer.Update(scale);
            }
            return table.Weight.data<float>().ToArray();
        }
        Assert.Equal(Weights(scale: 1, factor: 1), Weights(scale: 0.25, factor: 2));
    }

    [SkippableTheory]
    [InlineData(false)]
    [InlineData(true)]
    public void Rows_never_looked_up_get_the_missing_keys_or_where_none_was_missing_the_mean_of_the_others(bool missingWasSeen)
    {
        using var table = new EmbeddingTable(Rows, Dimension, 0, 1);
        var rule = new RowwiseAdamW(new AdamWRule(0.9, 0.99, 1e-8), 0.01);
        table.Optimizer = RowwiseOptimizer.Create(table, rule);
        table.forward(tensor(missingWasSeen ? new long[] { 0, 2, 4 } : [2, 4])).square().sum().backward();
        table.Optimizer.CollectGradients();
        rule.BeginStep(1e-2);
        table.Optimizer.Update(scale: 1);
        table.Optimizer.Complete(fillUnseenRows: true);

        float[][] rows = table.Weight.data<float>().ToArray().Chunk(Dimension).ToArray();
        float[] expected = missingWasSeen ? rows[0] : rows[2].Zip(rows[4], (left, right) => (float)(((double)left + right) / 2)).ToArray();
        Assert.NotEqual(rows[2], rows[4]);
        Assert.All(rows.Where((_, row) => row is not (0 or 2 or 4)), row => Assert.Equal(expected, row));
    }
}
