using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// AdamW over a network: row by row for its embedding tables, all at once for its other weights, with gradients clipped by the norm of them
/// all. While it lives, the network's tables look up their rows through it.
/// </summary>
internal sealed class NetworkOptimizer : IDisposable
{
    /// <summary>The memory of squared gradients: shorter than usual, for trainings of a few thousand steps.</summary>
    private const double Beta2 = 0.99;

    private const double Beta1 = 0.9, Epsilon = 1e-8;

    private readonly SparseCtrNetwork _network;
    private readonly EmbeddingTable[] _tables;
    private readonly Parameter[] _others;
    private readonly AdamW _optimizer;
    private readonly double _gradientClipping;

    /// <param name="network">The network, on the device that it is trained on.</param>
    /// <param name="options">Weight decay and clipping.</param>
    public NetworkOptimizer(SparseCtrNetwork network, SparseCtrTrainer.Options options)
    {
        (_network, _gradientClipping) = (network, options.GradientClipping);
        (string Name, Parameter Parameter)[] others = network.named_parameters()
            .Where(named => !SparseCtrNetwork.IsOfTable(named.Item1)).Select(named => (named.Item1, named.Item2)).ToArray();
        _others = others.Select(named => named.Parameter).ToArray();
        ILookup<bool, Parameter> decays = others.ToLookup(
            named => named.Parameter.dim() >= 2 && !named.Name.EndsWith(RelTemporal.CoefficientsName, StringComparison.Ordinal), named => named.Parameter);
        _optimizer = optim.AdamW(
        [
            new AdamW.ParamGroup(decays[true], options.LearningRate, Beta1, Beta2, Epsilon, options.WeightDecay),
            new AdamW.ParamGroup(decays[false], options.LearningRate, Beta1, Beta2, Epsilon, weight_decay: 0),
        ]);
        _tables = network.Tables.SelectMany(field => field.Tables).ToArray();
        foreach (EmbeddingTable table in _tables)
            table.Optimizer = new RowwiseAdamW(table, Beta1, Beta2, Epsilon, options.WeightDecay);
    }

    /// <summary>Begins a step.</summary>
    public void ClearGradients() => _optimizer.zero_grad();

    /// <summary>Computes the gradients of a loss, and adds them to those of the step.</summary>
    public void Backward(Tensor loss)
    {
        loss.backward();
        foreach (EmbeddingTable table in _tables)
            table.Optimizer!.CollectGradients();
    }

    /// <summary>Ends the step: updates the weights.</summary>
    public void Step(double learningRate)
    {
        using DisposeScope scope = NewDisposeScope();
        double scale = ClipGradients();
        foreach (optim.ILearningRateController group in _optimizer.ParamGroups)
            group.LearningRate = learningRate;
        _optimizer.step();
        foreach (EmbeddingTable table in _tables)
            table.Optimizer!.Update(learningRate, scale);
    }

    /// <summary>Makes the network one to predict with: see <see cref="RowwiseAdamW.Complete"/>.</summary>
    public void CompleteTables()
    {
        foreach (IdEmbedding field in _network.Tables)
        {
            foreach (EmbeddingTable table in field.Tables)
                table.Optimizer!.Complete(fillUnseenRows: table == field.DirectTable);
        }
    }

    public void Dispose()
    {
        foreach (EmbeddingTable table in _tables)
            table.Optimizer = null;
        _optimizer.Dispose();
    }

    /// <summary>Scales the gradients of all but the tables down to the norm that all of them together may have.</summary>
    /// <returns>What the tables' gradients are to be multiplied by.</returns>
    private double ClipGradients()
    {
        double norm = nn.utils.clip_grad_norm_(_others, float.MaxValue);
        double all = Math.Sqrt(norm * norm + _tables.Sum(table => table.Optimizer!.SquaredNorm()));
        if (all <= _gradientClipping)
            return 1;
        nn.utils.clip_grad_norm_(_others, _gradientClipping * norm / all);
        return _gradientClipping / all;
    }
}
