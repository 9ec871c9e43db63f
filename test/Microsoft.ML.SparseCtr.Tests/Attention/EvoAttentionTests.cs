using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr.Tests;

public class EvoAttentionTests
{
    private const int Behaviors = 12, Candidates = 2;

    private static readonly SparseCtrTrainer.Options s_config = TestRequests.Sizes;

    [Fact]
    public void Changing_a_later_behavior_changes_no_earlier_output_bit()
    {
        using SparseBlock block = Block();
        EvoAttentionPlan plan = Plan(s_config);
        Tensor x = randn(Behaviors + Candidates, s_config.ModelDimension);
        Tensor before = block.forward(block.forward(x, plan, false), plan, false);

        for (int changed = 0; changed < Behaviors + Candidates; changed++)
        {
            Tensor other = x.clone();
            other[changed] += randn(s_config.ModelDimension);
            Tensor after = block.forward(block.forward(other, plan, false), plan, false);

            // Behaviors before a behavior do not see it; of candidates, nobody sees any but itself.
            IEnumerable<int> unaffected = changed < Behaviors ? Enumerable.Range(0, changed) : Enumerable.Range(0, Behaviors + Candidates).Where(i => i != changed);
            Assert.All(unaffected, token => Assert.True(before[token].equal(after[token]).all().item<bool>(), $"token {token}, after a change of {changed}"));
            Assert.False(before[changed].allclose(after[changed]));
        }
    }

    [Fact]
    public void Every_candidate_sees_the_latest_behaviors_and_some_of_the_oldest()
    {
        using SparseBlock block = Block();
        EvoAttentionPlan plan = Plan(s_config);
        Tensor x = randn(Behaviors + Candidates, s_config.ModelDimension);
        Tensor before = block.forward(x, plan, true);

        foreach (int changed in new[] { 0, Behaviors - 1 })
        {
            Tensor other = x.clone();
            other[changed] += randn(s_config.ModelDimension);
            Tensor after = block.forward(other, plan, true);
            Assert.All(Enumerable.Range(0, Candidates), candidate => Assert.False(before[candidate].allclose(after[candidate])));
        }
    }

    [Fact]
    public void The_last_block_computes_for_candidates_what_it_would_compute_among_all()
    {
        using SparseBlock block = Block();
        EvoAttentionPlan plan = Plan(s_config);
        Tensor x = randn(Behaviors + Candidates, s_config.ModelDimension);

        Tensor all = block.forward(x, plan, candidatesOnly: false);
        Tensor candidates = block.forward(x, plan, candidatesOnly: true);

        Assert.True(all.narrow(0, Behaviors, Candidates).allclose(candidates, atol: 1e-6));
    }

    /// <summary>
    /// With a chunk per behavior, one transition behavior per chunk and a window over everything, global and transition are dense
    /// attention over the strictly earlier behaviors and the zero token, and local is dense causal attention: three masked n×n products.
    /// </summary>
    [Fact]
    public void With_chunks_and_window_as_long_as_the_history_the_branches_are_dense_attention()
    {
        SparseCtrTrainer.Options config = s_config with { NumberOfChunks = Behaviors, TransitionBehaviors = 1, LocalWindow = Behaviors };
        manual_seed(1);
        using var attention = new EvoAttention(config);
        attention.to(float64);
        nn.init.zeros_(attention.get_parameter("temporal.coefficients")!);
        const int n = Behaviors + Candidates;
        Tensor x = randn(n, config.ModelDimension, dtype: float64);

        Tensor actual = attention.forward(x, Plan(config), false);

        Tensor earlier = zeros(n, n + 1, @bool), upToItself = zeros(n, n + 1, @bool);
        for (int query = 0; query < n; query++)
        {
            earlier[query, n] = tensor(true);
            for (int key = 0; key < n; key++)
            {
                earlier[query, key] = tensor(key < query && key < Behaviors);
                upToItself[query, key] = tensor(key == query || (key < query && key < Behaviors));
            }
        }
        Dictionary<string, Tensor> weights = attention.state_dict();
        Tensor expected = Dense(earlier, 0) + Dense(earlier, 1) + Dense(upToItself, 2);
        expected = expected.mm(weights["output.weight"].t());
        Assert.True(expected.allclose(actual, atol: 1e-10), $"{(expected - actual).abs().max().item<double>()}");

        Tensor Dense(Tensor visible, int branch)
        {
            int size = config.ModelDimension / config.NumberOfHeads;
            Tensor zero = zeros(1, config.ModelDimension, float64);
            Tensor q = x.mm(weights["query.weight"].t());
            Tensor k = cat([x.mm(weights["key.weight"].t()), zero]), v = cat([x.mm(weights["value.weight"].t()), zero]);
            Tensor gates = (x.mm(weights["gate.weight"].t()) + weights["gate.bias"]).sigmoid();
            IEnumerable<Tensor> heads = Enumerable.Range(0, config.NumberOfHeads).Select(head =>
            {
                Tensor logits = Of(q, head).mm(Of(k, head).t()) / Math.Sqrt(size);
                Tensor attended = logits.masked_fill(visible.logical_not(), double.NegativeInfinity).softmax(-1).mm(Of(v, head));
                return attended * gates.narrow(1, branch * config.NumberOfHeads + head, 1);
            });
            return cat(heads.ToArray(), 1);

            Tensor Of(Tensor all, int head) => all.narrow(1, head * size, size);
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void Each_term_of_RelTemporal_moves_the_output(int term)
    {
        using var attention = new EvoAttention(s_config);
        EvoAttentionPlan plan = Plan(s_config);
        Tensor x = randn(Behaviors + Candidates, s_config.ModelDimension);
        Tensor before = attention.forward(x, plan, false);
        using (no_grad())
            attention.get_parameter("temporal.coefficients")!.narrow(1, term, 1).fill_(2);
        Assert.False(before.allclose(attention.forward(x, plan, false)));
    }

    private static SparseBlock Block()
    {
        manual_seed(1);
        var block = new SparseBlock(s_config);
        block.eval();
        return block;
    }

    private static EvoAttentionPlan Plan(SparseCtrTrainer.Options config)
        => EvoAttentionPlan.Create([TestRequests.Request(Behaviors, Candidates)], config);
}
