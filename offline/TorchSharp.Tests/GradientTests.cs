// Gradients against finite differences, in float64; and how gradients are asked for.
using static TorchSharp.Tests.Expect;
using F = TorchSharp.torch.nn.functional;

namespace TorchSharp.Tests;

public class GradientTests
{
    private static Tensor Weights => M(2, 0.3, -0.7, 1.1, 0.4, 0.9, -0.2);

    /// <summary>Differentiable operators of a [2, 3] matrix with elements between 0.3 and 2.</summary>
    public static readonly TheoryData<Case> Cases =
    [
        new("add and sub", x => (x + 2 * x - 0.5) * 1.5 - x),
        new("mul and div", x => x * x / (x + 1) + 1 / x),
        new("neg abs sign", x => -x.abs() * x.sign()),
        new("exp log", x => x.exp() + x.log() + x.log1p() + x.expm1() + x.log2() + x.log10() + x.exp2()),
        new("powers", x => x.sqrt() + x.rsqrt() + x.square() + x.reciprocal() + x.pow(3) + x.pow(x) + x.clone()),
        new("trigonometric", x => x.sin() + x.cos() + x.tan() + (x / 3).asin() + (x / 3).acos() + x.atan() + x.sinh() + x.cosh()),
        new("activations",
            x => x.tanh() + x.sigmoid() + x.relu() + x.silu() + x.gelu() + x.selu() + x.softplus() + x.log_sigmoid() + x.leaky_relu(0.1)),
        new("error function", x => x.erf() + x.erfc()),
        new("clamp and extremes",
            x => x.clamp(0.5, 1.5) + x.maximum(Weights) + x.minimum(Weights) + x.max() + x.min() + x.amax(0) + x.amin(0)),
        new("where and masks", x => x.where(x > 1, x * 3) + x.masked_fill(x > 1.2, 0)),
        new("sums and means", x => x.sum(1, keepdim: true) * x.mean([0], true) + x.mean() + x.sum()),
        new("prod and cumulative", x => x.prod(1, true) + x.cumsum(1) + x.cumprod(1) + x.prod()),
        new("spread and norms", x => x.var(1, keepdim: true) + x.std(1, keepdim: true) + x.var() + x.std() + x.norm() + x.norm(1, true, 3)),
        new("softmax", x => x.softmax(1) * Weights + x.log_softmax(0) + x.logsumexp(1, true) + x.logcumsumexp(1)),
        new("sorting", x => x.sort(1).Values * Weights + x.topk(3).values * Weights),
        new("products", x => x.matmul(x.t()).matmul(Weights) + x.mm(x.t()).mv(V(1, 2)).view(2, 1) + einsum("ij,kj->ik", x, Weights).sum()),
        new("batched products", x => x.view(1, 2, 3).bmm(x.t().unsqueeze(0)).squeeze(0).matmul(Weights) + x[0].outer(x[1])[..2]),
        new("addmm",
            x => Weights.addmm(x.matmul(x.t()), x) + x.flatten().dot(Weights.flatten())),
        new("shapes",
            x => x.view(3, 2).t().reshape(2, 3).flip(1) + x.flatten().roll(1).unflatten(0, 2, 3)
                + x.permute(1, 0).contiguous().transpose(0, 1)),
        new("joining",
            x => cat([x, x * 2], 1).narrow(1, 2, 3) + stack([x, x.exp()]).sum(0L) + x.repeat(2, 1)[..2] + x.repeat_interleave(2, 0)[1..3]),
        new("splitting", x => x.chunk(3, 1)[1] * x.split(1, 0)[0] + x.unbind(1)[2].unsqueeze(1)),
        new("triangles", x => x.tril() + x.triu(1) * 2 + x.diagonal(0, 0, 1).sum()),
        new("indexing", x => x[1] * x[.., 0].unsqueeze(1) + x[x > 1].sum() + x.index_select(1, I(2, 2, 0)) + x.take(I(0, 5)).sum()),
        new("gather and scatter",
            x => x.gather(1, I(2, 0, 1, 0, 0, 0).view(2, 3)) + Weights.scatter_add(1, I(1, 1, 2, 0, 0, 0).view(2, 3), x)
                + Weights.scatter(1, I(1, 0, 2, 0, 1, 2).view(2, 3), x)),
        new("index_add", x => Weights.index_add(0, I(1, 1), x, 2) + x.index_fill(0, I(0), 3) + x.index_copy(0, I(1, 0), x * 2)),
        new("lerp addcmul addcdiv", x => x.lerp(Weights, x / 4) + x.addcmul(x, Weights, 2) + x.addcdiv(Weights, x, 3)),
        new("in place on an intermediate", x => (x * 1).mul_(x).add_(x).exp_()),
        new("written part", x => { var y = x * 2; y[0] = x[1] * x[0]; return y; }),
        new("linear and layer_norm", x => F.linear(x, x, x.sum(1)).matmul(Weights) + F.layer_norm(x, [3], x.select(0, 0), x.select(0, 1))),
        new("losses",
            x => F.binary_cross_entropy_with_logits(x, Weights.sigmoid(), reduction: nn.Reduction.None) + F.mse_loss(x, Weights)
                + F.cross_entropy(x, I(2, 0)) + F.binary_cross_entropy(x.sigmoid(), Weights.sigmoid()) + F.huber_loss(x, Weights)
                + F.kl_div(x.log_softmax(1), Weights.log_softmax(1))),
        new("attention", x => F.scaled_dot_product_attention(x, x * 2, x.exp()) + F.scaled_dot_product_attention(x, x, x, is_casual: true)),
        new("embedding", x => F.one_hot(I(1, 0), 2).to_type(float64).matmul(x) + F.cosine_similarity(x, Weights, 1).unsqueeze(1)),
        new("element types", x => x.to_type(float64).to(CPU).alias() * x.detach()),
    ];

    [Theory]
    [MemberData(nameof(Cases))]
    public void Gradients_agree_with_finite_differences(Case op)
    {
        double[] point = [0.7, 1.3, 0.4, 1.9, 0.55, 1.05];
        var x = M(2, point).requires_grad_();
        // A detached factor is held at the point: differences must not see it move.
        Func<Tensor, Tensor> f = op.Name == "element types" ? y => y * M(2, point) : op.Function;
        using var weights = linspace(0.5, 1.5, 64, float64);
        Tensor Loss(Tensor result) => (result.flatten() * weights.narrow(0, 0, result.numel())).sum();

        Loss(op.Function(x)).backward();

        double[] expected = new double[6];
        const double step = 1e-6;
        for (int i = 0; i < 6; i++)
        {
            double At(double delta) => Loss(f(M(2, point.Select((value, j) => j == i ? value + delta : value).ToArray()))).ToDouble();
            expected[i] = (At(step) - At(-step)) / (2 * step);
        }
        Equal(expected, x.grad!, 1e-6);
    }

    [Fact]
    public void Gradients_accumulate_until_they_are_set_to_null()
    {
        var x = V(3).requires_grad_();
        Assert.Null(x.grad);
        (x * x).sum().backward();
        (x * x).sum().backward();
        Equal([12], x.grad!);
        x.grad = null;
        Assert.Null(x.grad);
        x.grad = V(5);
        Equal([5], x.grad!);
    }

    [Fact]
    public void Autograd_grad_returns_gradients_without_storing_them()
    {
        var x = V(1, 2).requires_grad_();
        var y = V(3).requires_grad_();
        var gradients = autograd.grad([(x * x * y).sum()], [x, y]);
        Equal([6, 12], gradients[0]);
        Equal([5], gradients[1]);
        Assert.Null(x.grad);
    }

    [Fact]
    public void Autograd_grad_of_an_unused_input_is_null_if_allowed_and_an_error_if_not()
    {
        var x = V(1).requires_grad_();
        var unused = V(1).requires_grad_();
        Assert.Null(autograd.grad([x * 2], [unused], allow_unused: true)[0]);
        Assert.Contains("unused", Assert.ThrowsAny<Exception>(() => autograd.grad([x * 2], [unused])).Message);
    }

    [Fact]
    public void Second_derivatives_come_from_a_created_graph()
    {
        var x = V(2).requires_grad_();
        var first = autograd.grad([x.pow(3)], [x], create_graph: true)[0];
        Equal([12], first);
        Equal([12], autograd.grad([first], [x])[0]);
    }

    [Fact]
    public void Backward_takes_the_gradient_of_its_output()
    {
        var x = V(1, 2).requires_grad_();
        (x * 3).backward([V(1, 10)]);
        autograd.backward(x * 1, V(100, 100));
        autograd.backward([x * 1, x * 2], [V(1, 1), V(1, 1)], inputs: [x]);
        Equal([106, 133], x.grad!);
    }

    [Fact]
    public void A_graph_can_be_used_again_only_if_it_is_retained()
    {
        var y = V(1).requires_grad_().exp();
        y.backward(retain_graph: true);
        y.backward();
        Assert.ThrowsAny<Exception>(y.backward);
    }

    [Fact]
    public void Detached_tensors_and_no_grad_stop_gradients()
    {
        var x = V(1).requires_grad_();
        Assert.True((x * 2).requires_grad);
        Assert.False((x * 2).detach().requires_grad);
        Assert.False((x * 2).detach_().requires_grad);
        using (no_grad())
        {
            Assert.False(is_grad_enabled());
            Assert.False((x * 2).requires_grad);
            using (enable_grad()) Assert.True((x * 2).requires_grad);
            using (set_grad_enabled(true)) Assert.True((x * 2).requires_grad);
        }
        Assert.True(is_grad_enabled());
        using (inference_mode())
        {
            Assert.True(is_inference_mode_enabled());
            Assert.False((x * 2).requires_grad);
        }
        Assert.False(is_inference_mode_enabled());
    }

    [Fact]
    public void No_grad_concerns_one_thread()
    {
        using var _ = no_grad();
        bool other = false;
        var thread = new Thread(() => other = is_grad_enabled());
        thread.Start();
        thread.Join();
        Assert.True(other);
    }

    [Fact]
    public void Leaves_keep_gradients_and_intermediates_only_on_request()
    {
        var x = V(2).with_requires_grad();
        var y = x * x;
        y.retain_grad();
        (y * 3).backward();
        Assert.True(x.is_leaf && !y.is_leaf);
        x.requires_grad = false;
        Assert.False(x.requires_grad);
        Equal([3], y.grad!);
        Equal([12], x.grad!);
    }

    public sealed record Case(string Name, Func<Tensor, Tensor> Function)
    {
        public override string ToString() => Name;
    }
}
