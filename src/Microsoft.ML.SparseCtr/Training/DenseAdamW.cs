using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// AdamW for weights that every step updates. In the CPU's memory it reads and writes them itself, and on a GPU a kernel does: a step of libtorch's is ten
/// operators for each of the network's small parameters, most of whose time is not arithmetic.
/// </summary>
internal sealed unsafe class DenseAdamW : IDisposable
{
    private readonly AdamWRule _rule;
    private readonly Weights[] _weights;
    private readonly bool _isDirect;
    private readonly CudaAdamW? _onGpu;
    private int _step;

    private sealed record Weights(Parameter Parameter, double Decay, Tensor Moments1, Tensor Moments2);

    /// <param name="parameters">The weights, on the device that they are trained on, and the weight decay of each.</param>
    /// <param name="rule">β₁, β₂ and ε.</param>
    public DenseAdamW(IEnumerable<(Parameter Parameter, double Decay)> parameters, AdamWRule rule)
    {
        _rule = rule;
        _weights = parameters.Select(each => new Weights(each.Parameter, each.Decay, ZerosOf(each.Parameter), ZerosOf(each.Parameter))).ToArray();
        _isDirect = _weights.All(weights => TensorMemory.IsDirect(weights.Parameter));
        if (_weights.All(weights => weights.Parameter.dtype == float32) && CudaKernels.Of(_weights[0].Parameter) is { } kernels)
            _onGpu = new CudaAdamW(kernels);

        static Tensor ZerosOf(Parameter parameter) => zeros(parameter.shape, parameter.dtype, parameter.device).DetachFromDisposeScope();
    }

    /// <summary>Begins a step.</summary>
    public void ClearGradients()
    {
        foreach (Weights weights in _weights)
            weights.Parameter.grad = null;
    }

    /// <summary>The sum of the squares of the gradients, a float64 on the weights' device.</summary>
    public Tensor SquaredNorm()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor[] gradients = _weights.Select(weights => GradientOf(weights.Parameter)).OfType<Tensor>().ToArray();
        Tensor sum = _onGpu is not null ? _onGpu.SquaredNorm(gradients)
            : _isDirect ? tensor(gradients.Sum(gradient => SmallMatrix.SumOfSquares(TensorMemory.Floats(gradient), gradient.numel())), float64)
            : stack(gradients.Select(gradient => gradient.norm())).to(float64).square().sum();
        return sum.MoveToOuterDisposeScope();
    }

    /// <summary>Ends the step: updates the weights that have gradients.</summary>
    /// <param name="learningRate">The step's learning rate.</param>
    /// <param name="scale">What gradients are multiplied by, as clipping wants it.</param>
    public void Update(double learningRate, double scale)
    {
        (double Rate, double Epsilon) step = _rule.At(++_step, learningRate);
        using IDisposable noGradient = no_grad();
        foreach (Weights weights in _weights)
        {
            using Tensor? gradient = GradientOf(weights.Parameter);
            if (gradient is null)
                continue;
            double keep = 1 - learningRate * weights.Decay;
            if (_onGpu is not null)
            {
                _onGpu.Update(new(step, (_rule.Beta1, _rule.Beta2), keep, scale), gradient, weights.Moments1, weights.Moments2, weights.Parameter);
            }
            else if (_isDirect)
            {
                _rule.Update(step, keep, TensorMemory.Floats(gradient), scale, TensorMemory.Floats(weights.Moments1),
                    TensorMemory.Floats(weights.Moments2), TensorMemory.Floats(weights.Parameter), gradient.numel());
            }
            else
            {
                Update(weights, gradient, step, keep, scale);
            }
        }
    }

    /// <summary>Carries the moments, but not the number of steps.</summary>
    public void Carry(StateStream stream)
    {
        foreach (Weights weights in _weights)
        {
            stream.Carry(weights.Moments1);
            stream.Carry(weights.Moments2);
        }
    }

    public void Dispose()
    {
        foreach (Weights weights in _weights)
        {
            weights.Moments1.Dispose();
            weights.Moments2.Dispose();
        }
    }

    /// <summary>What <see cref="AdamWRule.Update"/> does, on any device.</summary>
    private void Update(Weights weights, Tensor gradient, (double Rate, double Epsilon) step, double keep, double scale)
    {
        weights.Moments1.mul_(_rule.Beta1).add_(gradient, (1 - _rule.Beta1) * scale);
        weights.Moments2.mul_(_rule.Beta2).addcmul_(gradient, gradient, (1 - _rule.Beta2) * scale * scale);
        using Tensor divisor = weights.Moments2.sqrt().add_(step.Epsilon);
        weights.Parameter.mul_(keep).addcdiv_(weights.Moments1, divisor, -step.Rate);
    }

    private static Tensor? GradientOf(Parameter parameter)
    {
        Tensor? gradient = parameter.grad;
        if (gradient is null || gradient.is_contiguous())
            return gradient;
        using (gradient)
            return gradient.contiguous();
    }
}
