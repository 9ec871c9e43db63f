using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr.Tests;

public class FusedFunctionTests
{
    /// <summary>For a GPU, libtorch calls backward passes on a thread of its own.</summary>
    [Fact]
    public void Backward_passes_on_a_thread_without_a_dispose_scope_leave_no_tensors_but_those_that_the_last_returned()
    {
        using DisposeScope scope = NewDisposeScope();
        SparseCtrTrainer.Options config = TestRequests.Sizes with { Dropout = 0.5 };
        EvoAttentionPlan plan = EvoAttentionPlan.Create([TestRequests.Request(30, 2)], config);
        using var block = new SparseBlock(config);
        Tensor x = randn(plan.TokenCount, config.ModelDimension).requires_grad_();
        Tensor[] losses = Enumerable.Range(0, 20).Select(_ => block.forward(x, plan, false).sum()).ToArray();

        var counts = new List<long>();
        var thread = new Thread(() =>
        {
            foreach (Tensor loss in losses)
            {
                loss.backward();
                counts.Add(Tensor.TotalCount);
            }
        });
        thread.Start();
        thread.Join();
        Assert.Equal(counts[4], counts[^1]);
    }

    [Fact]
    public void What_a_backward_pass_throws_comes_out_of_it_as_it_is()
    {
        Tensor loss = Failing.apply(ones(2).requires_grad_(), 7).sum();
        var exception = Assert.Throws<ExternalException>(() => BackwardPass.Run(loss));
        Assert.Equal("CUDA out of memory.", exception.Message);
        Assert.True(OutOfMemory.IsReasonOf(exception));
        // What failed before is nothing to what is computed now.
        BackwardPass.Run((ones(2).requires_grad_() * 2).sum());
    }

    private sealed class Failing : FusedFunction<Failing>
    {
        public override string Name => nameof(Failing);

        protected override Tensor Compute(autograd.AutogradContext ctx, object[] vars) => (Tensor)vars[0] * (int)vars[1];

        protected override List<Tensor> Differentiate(autograd.AutogradContext ctx, Tensor gradient) => throw new ExternalException("CUDA out of memory.");
    }
}
