// Modules: registration, state, modes, hooks and the layers.
using TorchSharp.Modules;
using static TorchSharp.Tests.Expect;

namespace TorchSharp.Tests;

public class ModuleTests
{
    [Fact]
    public void Fields_are_registered_under_their_names()
    {
        using var net = new Net();
        Assert.Equal(["scale", "first.weight", "first.bias", "rest.0.weight", "rest.0.bias", "rest.1.weight"],
            net.named_parameters().Select(p => p.name));
        Assert.Equal(["offset", "counter"], net.named_buffers().Select(b => b.name).OrderDescending());
        Assert.Equal(["first", "rest"], net.named_children().Select(c => c.name));
        Assert.Equal(["first", "rest", "rest.0", "rest.1"], net.named_modules().Select(m => m.name).Order());
        Assert.Equal((6, 4, 2, 2), (net.parameters().Count(), net.modules().Count(), net.children().Count(), net.buffers().Count()));
        Assert.Same(net.first.weight, net.get_parameter("first.weight"));
        Assert.True(net.has_parameter("rest.0.bias") && !net.has_parameter("rest.1.bias") && net.has_buffer("offset"));
        Assert.Null(net.get_buffer("nothing"));
        Assert.Equal("Net", net.GetName());
    }

    [Fact]
    public void A_shared_module_is_counted_once()
    {
        var shared = nn.Linear(1, 1);
        Assert.Equal(2, nn.Sequential(shared, nn.ReLU(), shared).parameters().Count());
    }

    [Fact]
    public void A_field_registered_under_another_name_is_among_the_modules_twice_and_its_parameters_once()
    {
        using var net = new Renaming(new Renaming(nn.Linear(1, 1, hasBias: false)));
        Assert.Equal(["inner", "inner.inner", "inner._inner"], net.named_modules().Select(m => m.name));
        Assert.Equal(["inner.inner.weight"], net.named_parameters().Select(p => p.name));
    }

    [Fact]
    public void Registering_twice_or_under_a_bad_name_is_an_error()
    {
        using var net = new Net();
        Assert.Throws<InvalidOperationException>(() => net.register_parameter("scale", new Parameter(ones(1))));
        Assert.Throws<InvalidOperationException>(() => net.register_buffer("offset", ones(1)));
        Assert.Throws<InvalidOperationException>(() => net.add_module("first", nn.ReLU()));
        Assert.Throws<ArgumentException>(() => net.register_module("a.b", nn.ReLU()));
    }

    [Fact]
    public void State_goes_from_one_module_to_another()
    {
        using Net from = new(), to = new();
        var state = from.state_dict();
        Assert.Equal(["scale", "offset", "first.weight", "first.bias", "rest.0.weight", "rest.0.bias", "rest.1.weight"], state.Keys);
        to.load_state_dict(state);
        var x = rand(3, 2);
        Equal(Values(from.call(x)), to.call(x));
        Assert.NotSame(from.first.weight, to.first.weight);
    }

    [Fact]
    public void Loading_names_what_is_missing_unexpected_or_of_another_shape()
    {
        using var net = new Net();
        var state = net.state_dict();
        state.Remove("scale");
        state["extra"] = ones(1);
        Assert.Contains("scale", Assert.Throws<InvalidOperationException>(() => net.load_state_dict(state)).Message);
        var (missing, unexpected) = net.load_state_dict(state, strict: false);
        Assert.Equal(["scale", "extra"], missing.Concat(unexpected));
        net.load_state_dict(state, skip: ["scale", "extra"]);
        Assert.Contains("scale", Assert.Throws<ArgumentException>(() => net.load_state_dict(new() { ["scale"] = ones(2, 2) },
            strict: false)).Message);
    }

    [Fact]
    public void Training_and_evaluation_reach_all_submodules()
    {
        using var net = new Net();
        net.eval();
        Assert.All(net.modules().Prepend(net), module => Assert.False(module.training));
        net.train();
        Assert.All(net.modules(), module => Assert.True(module.training));
        int count = 0;
        net.apply(_ => count++);
        Assert.Equal(5, count);
    }

    [Fact]
    public void Modules_convert_their_floating_point_tensors_in_place()
    {
        using var net = new Net();
        var weight = net.first.weight;
        net.call(rand(1, 2)).sum().backward();
        net.@double().cpu();
        Assert.Same(weight, net.first.weight);
        Assert.Equal((ScalarType.Float64, ScalarType.Float64, ScalarType.Int64),
            (weight.dtype, weight.grad!.dtype, net.get_buffer("counter")!.dtype));
        Assert.True(weight.requires_grad && weight.is_leaf);
        Assert.Equal(ScalarType.Float64, net.call(rand(1, 2, float64)).dtype);
        Assert.Equal(ScalarType.Float32, net.to(float32).to(CPU).to("cpu").to(DeviceType.CPU).to(CPU, float32).@float().first.weight.dtype);
        Assert.Throws<ArgumentException>(() => net.to(int64));
    }

    [Fact]
    public void Zero_grad_forgets_or_clears_gradients()
    {
        var linear = nn.Linear(2, 1);
        linear.call(ones(1, 2)).sum().backward();
        linear.zero_grad(set_to_none: false);
        Equal([0, 0], linear.weight.grad!);
        linear.zero_grad();
        Assert.Null(linear.weight.grad);
    }

    [Fact]
    public void Disposing_a_module_disposes_its_tensors()
    {
        var net = new Net();
        var tensors = net.parameters().Concat(net.buffers()).ToList();
        net.Dispose();
        Assert.All(tensors, tensor => Assert.True(tensor.IsInvalid));
    }

    [Fact]
    public void Layers_outlive_the_dispose_scope_they_are_made_in()
    {
        Linear linear;
        using (NewDisposeScope()) linear = nn.Linear(1, 1);
        Assert.False(linear.weight.IsInvalid);
    }

    [Fact]
    public void A_parameter_takes_over_its_tensor_and_its_scope()
    {
        using var scope = NewDisposeScope();
        var data = ones(1);
        var parameter = new Parameter(data);
        Assert.True(data.IsInvalid && parameter.requires_grad && parameter.is_leaf);
        Assert.Equal([parameter], scope.DisposablesView);
        Assert.False(nn.Parameter(ones(1), requires_grad: false).requires_grad);
        Assert.IsType<Parameter>(ones(1).AsParameter());
    }

    [Fact]
    public void Hooks_see_and_replace_inputs_and_outputs()
    {
        var linear = nn.Identity();
        int calls = 0;
        linear.register_forward_pre_hook((_, input) => input + 1);
        linear.register_forward_hook((_, input, output) => output * input);
        var remover = linear.register_forward_hook(_ => calls++);
        linear.register_forward_pre_hook(_ => calls++);
        Equal([9], linear.call(V(2)));
        Equal([2], linear.forward(V(2)));
        remover.remove();
        linear.call(V(2));
        Assert.Equal(3, calls);
    }

    [Fact]
    public void Modules_take_up_to_six_inputs()
    {
        var sum = new SumOfSix();
        sum.register_forward_pre_hook((_, a, b, c, d, e, f) => (a * 10, b, c, d, e, f));
        Equal([30], sum.call(V(1), V(2), V(3), V(4), V(5), V(6)));
    }

    [Fact]
    public void Layers_compute_what_their_functions_compute()
    {
        var x = V(-1, 0.5, 2);
        Equal(Values(x.relu()), nn.ReLU().call(x));
        Equal(Values(x.gelu()), nn.GELU().call(x));
        Equal(Values(x.silu()), nn.SiLU().call(x));
        Equal(Values(x.sigmoid()), nn.Sigmoid().call(x));
        Equal(Values(x.tanh()), nn.Tanh().call(x));
        Equal(Values(x.softmax(0)), nn.Softmax(0).call(x));
        Equal(Values(x), nn.Identity().call(x));
        Equal(Values(nn.functional.layer_norm(x, [3])), nn.LayerNorm(3, dtype: float64).call(x));
        Assert.Null(nn.LayerNorm([3], elementwise_affine: false).weight);
        Assert.Null(nn.Linear(1, 1, hasBias: false).bias);
        Equal(Values(x.relu()), nn.ReLU(inplace: true).call(x));
    }

    [Fact]
    public void Linear_starts_within_its_bound_and_computes_an_affine_map()
    {
        using var linear = nn.Linear(100, 50, dtype: float64);
        Assert.InRange(linear.weight.abs().max().ToDouble(), 0.09, 0.1);
        Assert.InRange(linear.bias!.abs().max().ToDouble(), 0.05, 0.1);
        var x = rand(3, 100, float64);
        Equal(Values(x.matmul(linear.weight.t()) + linear.bias!), linear.call(x));
        linear.weight = new Parameter(zeros(50, 100, float64));
        Assert.Equal(["bias", "weight"], linear.named_parameters().Select(p => p.name).Order());
        Equal(Values(linear.bias!), linear.call(x)[0]);
    }

    [Fact]
    public void Embedding_looks_rows_up_and_keeps_its_padding_row_at_zero()
    {
        using var embedding = nn.Embedding(4, 2, padding_idx: 0, dtype: float64);
        var found = embedding.call(I(0, 3, 3));
        Equal(Values(embedding.weight[3]), found[2]);
        Equal([0, 0], found[0]);
        found.sum().backward();
        Equal([0, 0, 0, 0, 0, 0, 2, 2], embedding.weight.grad!);
        using var pretrained = nn.Embedding_from_pretrained(M(2, 1, 2, 3, 4));
        Assert.False(pretrained.weight.requires_grad);
        Equal([3, 4], pretrained.call(I(1)));
        using var bounded = nn.Embedding_from_pretrained(M(1, 3, 4), max_norm: 1);
        Equal([0.6, 0.8], bounded.call(I(0)), 1e-6);
    }

    [Fact]
    public void A_sparse_embedding_has_sparse_gradients()
    {
        using var embedding = nn.Embedding(4, 1, sparse: true);
        embedding.call(I(2, 2)).sum().backward();
        Assert.True(embedding.weight.grad!.is_sparse);
        Equal([0, 0, 2, 0], embedding.weight.grad!.to_dense());
    }

    [Fact]
    public void Dropout_scales_what_it_keeps_and_does_nothing_in_evaluation()
    {
        using var dropout = nn.Dropout(0.25);
        var kept = dropout.call(ones(10_000, float64));
        Equal([0, 1 / 0.75], kept.unique().output);
        Equal([1], kept.mean().view(1), 0.05);
        dropout.eval();
        Equal([1, 1], dropout.call(ones(2)));
    }

    [Fact]
    public void Sequential_runs_its_stages_in_order_and_leaves_only_the_result()
    {
        using var net = nn.Sequential(("a", nn.Linear(2, 2)), ("b", nn.ReLU())).append("c", nn.Linear(2, 1)).append(nn.Sigmoid());
        Assert.Equal(["a", "b", "c", "3"], net.named_children().Select(c => c.name));
        Assert.Equal(4, net.Count);
        Assert.IsType<ReLU>(net[1]);
        using var scope = NewDisposeScope();
        var x = rand(5, 2);
        var y = net.call(x);
        Assert.Equal(2, scope.DisposablesCount);
        Assert.Equal([5, 1], y.shape);
        Equal(Values(x), nn.Sequential().call(x));
        Assert.Equal(1, nn.Sequential(new List<nn.Module<Tensor, Tensor>> { nn.ReLU() }).Count);
    }

    [Fact]
    public void A_module_list_numbers_its_items()
    {
        Linear first = nn.Linear(1, 1), second = nn.Linear(2, 2), third = nn.Linear(3, 3);
        var list = nn.ModuleList(first, third);
        list.Insert(1, second);
        Assert.Equal((3, 1, true), (list.Count, list.IndexOf(second), list.Contains(third)));
        Assert.Same(third, list.named_children().Last().module);
        Assert.True(list.Remove(first));
        list[0] = third;
        Assert.Equal(["0", "1"], list.named_children().Select(c => c.name));
        list.Clear();
        list.append(first);
        Assert.Equal(2, list.parameters().Count());
        Assert.Equal([first], list);
    }

    [Fact]
    public void Initial_values_have_the_documented_spread()
    {
        void Spread(double expected, Tensor tensor) => Assert.InRange(tensor.std().ToDouble() / expected, 0.95, 1.05);
        Spread(Math.Sqrt(2.0 / 300), nn.init.xavier_uniform_(empty(100, 200, float64)));
        Spread(Math.Sqrt(2.0 / 300), nn.init.xavier_normal_(empty(100, 200, float64)));
        Spread(Math.Sqrt(2.0 / 200), nn.init.kaiming_uniform_(empty(100, 200, float64)));
        Spread(Math.Sqrt(2.0 / 100), nn.init.kaiming_normal_(empty(100, 200, float64), mode: nn.init.FanInOut.FanOut));
        Assert.Equal((6L, 8L), nn.init.CalculateFanInAndFanOut(empty(4, 3, 2)));
        Assert.Equal(5.0 / 3, nn.init.calculate_gain(nn.init.NonlinearityType.Tanh));
        Assert.Throws<ArgumentException>(() => nn.init.xavier_normal_(empty(3)));
        Equal([3], nn.init.constant_(new Parameter(ones(1)), 3));
    }

    private sealed class Net : nn.Module<Tensor, Tensor>
    {
        public readonly Linear first = nn.Linear(2, 3);
        private readonly ModuleList<Linear> rest = nn.ModuleList(nn.Linear(3, 3), nn.Linear(3, 1, hasBias: false));
        private readonly Parameter scale = nn.Parameter(ones(1));
        private readonly Tensor offset = ones(1);

        public Net() : base(nameof(Net))
        {
            register_buffer("counter", zeros(1, int64), persistent: false);
            RegisterComponents();
        }

        public override Tensor forward(Tensor input)
        {
            var x = first.call(input);
            foreach (var layer in rest) x = layer.call(x.relu());
            return x * scale + offset;
        }
    }

    private sealed class Renaming : nn.Module
    {
        private readonly nn.Module _inner;

        public Renaming(nn.Module inner) : base(nameof(Renaming))
        {
            _inner = inner;
            register_module("inner", inner);
        }
    }

    private sealed class SumOfSix() : nn.Module<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>(nameof(SumOfSix))
    {
        public override Tensor forward(Tensor input1, Tensor input2, Tensor input3, Tensor input4, Tensor input5, Tensor input6) =>
            input1 + input2 + input3 + input4 + input5 + input6;
    }
}
