// Operators whose backward is C# code.
using static TorchSharp.torch.autograd;
using static TorchSharp.Tests.Expect;

namespace TorchSharp.Tests;

public class FunctionTests
{
    [Fact]
    public void A_custom_function_computes_its_own_gradient()
    {
        var x = V(1, 2, 3).requires_grad_();
        Cube.apply(x, 2.0).sum().backward();
        Equal([2 * 3 * 1, 2 * 3 * 4, 2 * 3 * 9], x.grad!);
    }

    [Fact]
    public void A_custom_function_can_be_differentiated_twice()
    {
        var x = V(2).requires_grad_();
        var first = grad([Cube.apply(x, 1.0)], [x], create_graph: true)[0];
        Equal([12], grad([first], [x])[0]);
    }

    [Fact]
    public void Without_gradients_a_custom_function_is_only_its_forward()
    {
        Assert.False(Cube.apply(V(2), 1.0).requires_grad);
        using var _ = no_grad();
        Assert.False(Cube.apply(V(2).requires_grad_(), 1.0).requires_grad);
    }

    [Fact]
    public void Several_outputs_have_a_gradient_each_and_unused_ones_zeros()
    {
        var a = V(2).requires_grad_();
        var b = V(3).requires_grad_();
        var outputs = SumAndProduct.apply(a, b);
        (outputs[0] * 10 + outputs[1]).backward();
        Equal([13], a.grad!);
        Equal([12], b.grad!);
        a.grad = null;
        SumAndProduct.apply(a, b)[0].backward();
        Equal([1], a.grad!);
    }

    [Fact]
    public void Outputs_can_be_marked_as_not_differentiable()
    {
        var outputs = SumAndProduct.apply(V(2).requires_grad_(), V(3));
        Assert.True(outputs[0].requires_grad);
        Assert.False(outputs[2].requires_grad);
    }

    [Fact]
    public void A_saved_output_makes_no_cycle()
    {
        Forget();
        for (int i = 0; i < 3; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
        Assert.DoesNotContain(SavesItsOutput.Contexts, context => context.IsAlive);

        static void Forget()
        {
            for (int i = 0; i < 20; i++) _ = SavesItsOutput.apply(V(1).requires_grad_());
        }
    }

    [Fact]
    public void A_saved_tensor_that_changes_later_is_an_error()
    {
        var x = V(1).requires_grad_();
        var copy = x * 1;
        var y = Cube.apply(copy, 1.0);
        copy.add_(1);
        Assert.Contains("modified by an inplace operation", Assert.ThrowsAny<Exception>(y.backward).Message);
    }

    [Fact]
    public void Saved_tensors_are_gone_after_backward_unless_the_graph_is_retained()
    {
        var y = Cube.apply(V(1).requires_grad_(), 1.0);
        y.backward(retain_graph: true);
        y.backward();
        Assert.Contains("a second time", Assert.ThrowsAny<Exception>(y.backward).Message);
    }

    [Fact]
    public void An_input_marked_dirty_is_changed_in_place()
    {
        var x = V(1, 2).requires_grad_();
        var y = x * 1;
        var doubled = DoublesInPlace.apply(y);
        Assert.Same(y, doubled);
        doubled.sum().backward();
        Equal([2, 2], x.grad!);
    }

    [Fact]
    public void A_forward_may_return_its_input()
    {
        var x = V(3).requires_grad_();
        var y = ReversesGradient.apply(x);
        y.backward();
        Equal([-1], x.grad!);
        Equal([3], y);
    }

    [Fact]
    public void An_exception_in_backward_reaches_the_caller_of_backward()
    {
        var error = Assert.ThrowsAny<Exception>(Fails.apply(V(1).requires_grad_()).backward);
        Assert.Contains("no gradient today", error.Message);
    }

    [Fact]
    public void A_backward_with_too_few_gradients_is_an_error()
    {
        var error = Assert.ThrowsAny<Exception>(Forgets.apply(V(1).requires_grad_(), V(2)).backward);
        Assert.Contains("returned 1 gradients for 2 arguments", error.Message);
    }

    [Fact]
    public void What_a_backward_makes_on_the_way_belongs_to_the_scope_of_the_thread_that_calls_it()
    {
        using var scope = NewDisposeScope();
        var x = V(1, 2).requires_grad_();
        var y = Cube.apply(x, 1.0).sum();
        int before = scope.DisposablesCount;
        y.backward();
        Assert.True(scope.DisposablesCount > before);
    }

    private sealed class Cube : SingleTensorFunction<Cube>
    {
        public override string Name => nameof(Cube);

        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            var x = (Tensor)vars[0];
            ctx.save_for_backward([x]);
            ctx.save_data("scale", vars[1]);
            return x.pow(3) * (double)vars[1];
        }

        public override List<Tensor?> backward(AutogradContext ctx, Tensor grad_output)
        {
            var x = ctx.get_saved_variables()[0];
            return [grad_output * x * x * 3 * (double)ctx.get_data("scale")!, null];
        }
    }

    private sealed class SumAndProduct : MultiTensorFunction<SumAndProduct>
    {
        public override string Name => nameof(SumAndProduct);

        public override List<Tensor> forward(AutogradContext ctx, params object[] vars)
        {
            Tensor a = (Tensor)vars[0], b = (Tensor)vars[1];
            ctx.save_for_backward([a, b]);
            var constant = a - b;
            ctx.mark_non_differentiable([constant]);
            return [a + b, a * b, constant];
        }

        public override List<Tensor> backward(AutogradContext ctx, List<Tensor> grad_outputs)
        {
            var saved = ctx.get_saved_variables();
            return [grad_outputs[0] + grad_outputs[1] * saved[1], grad_outputs[0] + grad_outputs[1] * saved[0]];
        }
    }

    private sealed class SavesItsOutput : SingleTensorFunction<SavesItsOutput>
    {
        public static readonly List<WeakReference> Contexts = [];

        public override string Name => nameof(SavesItsOutput);

        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            Contexts.Add(new WeakReference(ctx));
            var y = ((Tensor)vars[0]).exp();
            ctx.save_for_backward([y]);
            return y;
        }

        public override List<Tensor> backward(AutogradContext ctx, Tensor grad_output) => [grad_output * ctx.get_saved_variables()[0]];
    }

    private sealed class DoublesInPlace : SingleTensorFunction<DoublesInPlace>
    {
        public override string Name => nameof(DoublesInPlace);

        public override Tensor forward(AutogradContext ctx, params object[] vars)
        {
            var x = (Tensor)vars[0];
            ctx.mark_dirty([x]);
            return x.mul_(2);
        }

        public override List<Tensor> backward(AutogradContext ctx, Tensor grad_output) => [grad_output * 2];
    }

    private sealed class ReversesGradient : SingleTensorFunction<ReversesGradient>
    {
        public override string Name => nameof(ReversesGradient);

        public override Tensor forward(AutogradContext ctx, params object[] vars) => (Tensor)vars[0];

        public override List<Tensor> backward(AutogradContext ctx, Tensor grad_output) => [-grad_output];
    }

    private sealed class Fails : SingleTensorFunction<Fails>
    {
        public override string Name => nameof(Fails);

        public override Tensor forward(AutogradContext ctx, params object[] vars) => ((Tensor)vars[0]).exp();

        public override List<Tensor> backward(AutogradContext ctx, Tensor grad_output) =>
            throw new InvalidDataException("no gradient today");
    }

    private sealed class Forgets : SingleTensorFunction<Forgets>
    {
        public override string Name => nameof(Forgets);

        public override Tensor forward(AutogradContext ctx, params object[] vars) => (Tensor)vars[0] + (Tensor)vars[1];

        public override List<Tensor> backward(AutogradContext ctx, Tensor grad_output) => [grad_output];
    }
}
