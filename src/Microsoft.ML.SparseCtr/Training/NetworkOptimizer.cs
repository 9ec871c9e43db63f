using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// Updates a network's weights: its embedding tables row by row, the others by AdamW, with gradients clipped by the norm of them all. While it lives, the
/// network's tables look up their rows through it.
/// </summary>
internal sealed class NetworkOptimizer : IDisposable
{
    /// <summary>The memory of squared gradients: shorter than usual, for trainings of a few thousand steps.</summary>
    private const double Beta2 = 0.99;

    private const double Beta1 = 0.9, Epsilon = 1e-8;

    private readonly CtrNetwork _network;
    private readonly EmbeddingTable[] _tables;
    private readonly RowwiseRule _rule;
    private readonly DenseAdamW _others;
    private readonly double _gradientClipping;

    // Of every step so far.
    private readonly List<double> _learningRates = [];

    // Of the current one.
    private readonly List<Tensor> _losses = [];

    /// <param name="network">The network, on the device that it is trained on.</param>
    /// <param name="options">How tables are trained, weight decay and clipping.</param>
    public NetworkOptimizer(CtrNetwork network, CtrTrainerOptions options)
    {
        (_network, _gradientClipping) = (network, options.GradientClipping);
        var adamW = new AdamWRule(Beta1, Beta2, Epsilon);
        _others = new DenseAdamW(
            network.named_parameters().Where(named => !CtrNetwork.IsOfTable(named.Item1))
                .Select(named => (named.Item2, IsDecayed(named.Item1, named.Item2) ? options.WeightDecay : 0)),
            adamW);
        _rule = options.EmbeddingOptimizer == EmbeddingOptimizer.AdamW ? new RowwiseAdamW(adamW, options.WeightDecay) : new RowwiseAdagrad(options.WeightDecay);
        _tables = network.Tables.SelectMany(field => field.Tables).ToArray();
        foreach (EmbeddingTable table in _tables)
            table.Optimizer = RowwiseOptimizer.Create(table, _rule);

        static bool IsDecayed(string name, Parameter parameter)
            => parameter.dim() >= 2 && !name.EndsWith(RelTemporal.CoefficientsName, StringComparison.Ordinal);
    }

    /// <summary>Begins a step.</summary>
    public void ClearGradients()
    {
        _others.ClearGradients();
        ForgetLosses();
    }

    /// <summary>Computes the gradients of a loss, and adds them to those of the step.</summary>
    public void Backward(Tensor loss)
    {
        BackwardPass.Run(loss);
        _losses.Add(loss.detach().DetachFromDisposeScope());
        foreach (EmbeddingTable table in _tables)
            table.Optimizer!.CollectGradients();
    }

    /// <summary>Ends the step: updates the weights, with gradients scaled down to the norm that all of them together may have.</summary>
    /// <returns>The sum of its losses.</returns>
    public double Step(double learningRate)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor ofTables = _tables.Select(table => table.Optimizer!.SquaredNorm()).Aggregate((sum, next) => sum + next);
        Tensor squaredNorm = _others.SquaredNorm() + ofTables;
        // To read numbers is to wait for a GPU that computes them: once for all of them, and not for what comes after.
        double[] read = cat([squaredNorm.reshape(1), .. _losses.Select(loss => loss.to(float64).reshape(1))], 0).cpu().data<double>().ToArray();
        ForgetLosses();
        double norm = Math.Sqrt(read[0]);
        Update(learningRate, norm <= _gradientClipping ? 1 : _gradientClipping / norm);
        return read[1..].Sum();
    }

    private void ForgetLosses()
    {
        _losses.ForEach(loss => loss.Dispose());
        _losses.Clear();
    }

    private void Update(double learningRate, double scale)
    {
        _learningRates.Add(learningRate);
        _others.Update(learningRate, scale);
        _rule.BeginStep(learningRate);
        foreach (EmbeddingTable table in _tables)
            table.Optimizer!.Update(scale);
    }

    /// <summary>Carries the state of the optimizers: to ones that have not done a step, if it is read.</summary>
    public void Carry(StateStream stream)
    {
        double[] learningRates = _learningRates.ToArray();
        stream.Carry(ref learningRates);
        // Steps that no weight has a gradient in leave behind all that optimizers know of steps, and nothing else.
        foreach (double learningRate in stream.IsReading ? learningRates : [])
            Update(learningRate, scale: 1);
        _others.Carry(stream);
        foreach (EmbeddingTable table in _tables)
            table.Optimizer!.Carry(stream);
    }

    /// <summary>Makes the network one to predict with: see <see cref="RowwiseOptimizer.Complete"/>.</summary>
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
        {
            table.Optimizer!.Dispose();
            table.Optimizer = null;
        }
        ForgetLosses();
        _rule.Dispose();
        _others.Dispose();
    }
}
