// Optimizers against their formulas; gradient clipping; learning rates; training that does not grow.
using TorchSharp.Modules;
using static TorchSharp.Tests.Expect;

namespace TorchSharp.Tests;

public class OptimizerTests
{
    /// <summary>An optimizer and the update of one number: (value, gradient, step, two numbers of memory) to the next value.</summary>
    public static readonly TheoryData<Rule> Rules =
    [
        new("SGD", p => optim.SGD(p, 0.1), (x, g, t, m) => x - 0.1 * g),
        new("SGD with everything", p => optim.SGD(p, 0.1, momentum: 0.9, dampening: 0.5, weight_decay: 0.2, maximize: true), (x, g, t, m) =>
        {
            double d = -g + 0.2 * x;
            m[0] = t == 1 ? d : 0.9 * m[0] + 0.5 * d;
            return x - 0.1 * m[0];
        }),
        new("SGD, Nesterov", p => optim.SGD(p, 0.1, momentum: 0.9, nesterov: true), (x, g, t, m) =>
        {
            m[0] = t == 1 ? g : 0.9 * m[0] + g;
            return x - 0.1 * (g + 0.9 * m[0]);
        }),
        new("Adam", p => optim.Adam(p, 0.1), (x, g, t, m) => x - Adam(g, t, m)),
        new("Adam with weight decay", p => optim.Adam(p, 0.1, weight_decay: 0.2), (x, g, t, m) => x - Adam(g + 0.2 * x, t, m)),
        new("Adam, amsgrad", p => optim.Adam(p, 0.1, amsgrad: true), (x, g, t, m) => x - Adam(g, t, m, amsgrad: true)),
        new("AdamW", p => optim.AdamW(p, 0.1, weight_decay: 0.2), (x, g, t, m) => x * (1 - 0.1 * 0.2) - Adam(g, t, m)),
        new("AdamW, maximizing", p => optim.AdamW(p, 0.1, maximize: true), (x, g, t, m) => x - Adam(-g, t, m)),
        new("Adagrad", p => optim.Adagrad(p, 0.1, lr_decay: 0.5, weight_decay: 0.2, initial_accumulator_value: 0.3), (x, g, t, m) =>
        {
            double d = g + 0.2 * x;
            m[0] = (t == 1 ? 0.3 : m[0]) + d * d;
            return x - 0.1 / (1 + (t - 1) * 0.5) * d / (Math.Sqrt(m[0]) + 1e-10);
        }),
    ];

    [Theory]
    [MemberData(nameof(Rules))]
    public void Steps_follow_the_formula(Rule rule)
    {
        var parameter = new Parameter(V(1.5));
        using var optimizer = rule.Optimizer([parameter]);
        double expected = 1.5;
        double[] memory = new double[3];
        for (int t = 1; t <= 5; t++)
        {
            optimizer.zero_grad();
            (parameter.sin() * t).sum().backward();
            expected = rule.Next(expected, Math.Cos(expected) * t, t, memory);
            optimizer.step();
            Equal([expected], parameter);
        }
    }

    [Fact]
    public void Groups_have_their_own_options_and_take_the_others_from_the_optimizer()
    {
        Parameter a = new(V(1)), b = new(V(1)), c = new(V(1));
        using var optimizer = optim.SGD([new SGD.ParamGroup([a], new SGD.Options { LearningRate = 0.5 }),
            new SGD.ParamGroup([b], lr: 0.25)], 0.1);
        optimizer.add_param_group(new SGD.ParamGroup([c], new SGD.Options()));
        Assert.Equal([0.5, 0.25, 0.1], optimizer.ParamGroups.Select(group => group.LearningRate));
        foreach (var group in optimizer.ParamGroups) group.LearningRate *= 2;
        (a + b + c).sum().backward();
        optimizer.step();
        Equal([0, 0.5, 0.8], cat([a, b, c]));
        Assert.Equal([a, b, c], optimizer.parameters());
    }

    [Fact]
    public void Every_optimizer_takes_groups_and_named_parameters()
    {
        var named = nn.Linear(2, 1).named_parameters();
        IEnumerable<Parameter> group = [new Parameter(V(1))];
        optim.Optimizer[] optimizers =
        [
            optim.SGD(named, 0.1), optim.Adam(named), optim.AdamW(named), optim.Adagrad(named),
            optim.Adam([new Adam.ParamGroup(group)]), optim.AdamW([new AdamW.ParamGroup(group, lr: 0.1, beta1: 0.8)]),
                optim.Adagrad([new Adagrad.ParamGroup(group)]),
        ];
        Assert.Equal([2, 2, 2, 2, 1, 1, 1], optimizers.Select(optimizer => optimizer.parameters().Count()));
        Assert.Equal((0.8, 0.999), ((AdamW.ParamGroup)optimizers[5].ParamGroups.Single()).Betas);
        ((optim.IBetas)optimizers[1]).Betas = (0.5, 0.6);
        Assert.Equal((0.5, 0.6), ((Adam.ParamGroup)optimizers[1].ParamGroups.Single()).Betas);
        ((optim.IMomentum)optimizers[0]).Momentum = 0.7;
        Assert.Equal(0.7, ((SGD.ParamGroup)optimizers[0].ParamGroups.Single()).Momentum);
    }

    [Fact]
    public void Parameters_without_gradients_stay_and_zero_grad_clears()
    {
        Parameter used = new(V(1)), unused = new(V(1));
        using var optimizer = optim.AdamW([used, unused], 0.1, weight_decay: 0.5);
        used.exp().backward();
        optimizer.step();
        Equal([1], unused);
        optimizer.zero_grad();
        Equal([0], used.grad!);
        Assert.Null(unused.grad);
    }

    [Fact]
    public void A_closure_computes_the_loss()
    {
        var x = new Parameter(V(1));
        using var optimizer = optim.SGD([x], 0.1);
        var loss = optimizer.step(() =>
        {
            var square = x.square().sum();
            square.backward();
            return square;
        });
        Equal([1], loss!.view(1));
        Equal([0.8], x);
        Assert.Null(optimizer.step());
    }

    [Fact]
    public void Sparse_gradients_work_with_SGD_and_are_refused_by_Adam()
    {
        using var embedding = nn.Embedding_from_pretrained(M(3, 1, 1, 1), freeze: false, sparse: true);
        (embedding.call(I(1)) * 3).sum().backward();
        optim.SGD(embedding.parameters(), 0.5).step();
        Equal([1, -0.5, 1], embedding.weight);
        Assert.Contains("sparse", Assert.ThrowsAny<Exception>(() => optim.Adam(embedding.parameters()).step()).Message);
    }

    [Fact]
    public void Gradients_are_clipped_by_their_total_norm_or_by_value()
    {
        Parameter a = new(V(0)), b = new(V(0)), c = new(V(0));
        (a.grad, b.grad) = (V(3), V(-4));
        Assert.Equal(5, nn.utils.clip_grad_norm_([a, b, c], 10), 1e-9);
        Equal([3, -4], cat([a.grad!, b.grad!]));
        nn.utils.clip_grad_norm_([a, b, c], 1);
        Equal([0.6, -0.8], cat([a.grad!, b.grad!]), 1e-6);
        nn.utils.clip_grad_value_([a, b, c], 0.7);
        Equal([0.6, -0.7], cat([a.grad!, b.grad!]), 1e-6);
        Assert.Equal(0, nn.utils.clip_grad_norm_([c], 1));
    }

    [Fact]
    public void Parameters_become_a_vector_and_come_back()
    {
        Parameter a = new(M(1, 1, 2)), b = new(V(3));
        Equal([1, 2, 3], nn.utils.parameters_to_vector([a, b]));
        nn.utils.vector_to_parameters(V(4, 5, 6), [a, b]);
        Equal([4, 5], a);
        Equal([6], b);
    }

    [Fact]
    public void LambdaLR_multiplies_the_initial_rate_from_the_start()
    {
        using var optimizer = optim.SGD([new Parameter(V(1))], 0.4);
        var schedule = optim.lr_scheduler.LambdaLR(optimizer, step => 1.0 / (1 + step));
        Assert.Equal([0.4], schedule.get_last_lr());
        schedule.step();
        Assert.Equal(0.2, optimizer.ParamGroups.Single().LearningRate, 1e-12);
        schedule.step();
        schedule.step();
        Assert.Equal([0.1], schedule.get_last_lr());
    }

    [Fact]
    public void Twenty_thousand_training_steps_learn_and_use_no_more_memory_than_the_first()
    {
        using var generator = new Generator(1);
        using var net = nn.Sequential(nn.Linear(4, 8), nn.SiLU(), nn.Linear(8, 1));
        using var optimizer = optim.AdamW(net.parameters(), 0.01);
        double first = 0, last = 0;
        long tensors = 0, resident = 0;
        for (int step = 0; step < 20_000; step++)
        {
            using var scope = NewDisposeScope();
            var x = randn(16, 4, generator: generator);
            var target = (x.sum(1, keepdim: true) > 0).@float();
            optimizer.zero_grad();
            var loss = nn.functional.binary_cross_entropy_with_logits(net.call(x), target);
            loss.backward();
            nn.utils.clip_grad_norm_(net.parameters(), 1);
            optimizer.step();
            if (step == 0) first = loss.ToDouble();
            last = loss.ToDouble();
            if (step == 4_000) (tensors, resident) = (DisposeScopeManager.Statistics.ThreadTotalLiveCount, ResidentBytes());
        }
        Assert.True(last < first / 2, $"the loss went from {first} to {last}");
        Assert.InRange(DisposeScopeManager.Statistics.ThreadTotalLiveCount - tensors, -100, 0);
        Assert.InRange(ResidentBytes() - resident, long.MinValue, 24 << 20);
    }

    private static long ResidentBytes() => long.Parse(File.ReadAllText("/proc/self/statm").Split(' ')[1]) * Environment.SystemPageSize;

    private static double Adam(double g, int t, double[] m, bool amsgrad = false)
    {
        m[0] = 0.9 * m[0] + 0.1 * g;
        m[1] = 0.999 * m[1] + 0.001 * g * g;
        m[2] = Math.Max(m[2], m[1]);
        return 0.1 * (m[0] / (1 - Math.Pow(0.9, t))) / (Math.Sqrt((amsgrad ? m[2] : m[1]) / (1 - Math.Pow(0.999, t))) + 1e-8);
    }

    public sealed record Rule(string Name, Func<IEnumerable<Parameter>, optim.Optimizer> Optimizer,
        Func<double, double, int, double[], double> Next)
    {
        public override string ToString() => Name;
    }
}
