using System.Numerics;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>W_down(SiLU(W_gate x) ⊙ W_up x), a gated feed-forward layer.</summary>
internal sealed class SwiGlu : nn.Module<Tensor, Tensor>
{
    private readonly Linear _gate, _up, _down;

    public SwiGlu(int dimension, int width) : base(nameof(SwiGlu))
    {
        register_module("gate", _gate = nn.Linear(dimension, width, hasBias: false));
        register_module("up", _up = nn.Linear(dimension, width, hasBias: false));
        register_module("down", _down = nn.Linear(width, dimension, hasBias: false));
    }

    public override Tensor forward(Tensor x) => TensorMemory.IsDirect(x) && _gate.weight.shape[0] % SmallMatrix.Lanes == 0
        ? SwiGluFunction.apply(x, _gate.weight, _up.weight, _down.weight)
        : _down.forward(_gate.forward(x).silu() * _up.forward(x));
}

/// <summary>
/// <see cref="SwiGlu"/> of [n, d] floats in the CPU's memory as one function of x and the weights of gate, up and down: gate and up are one
/// product, and what is between the products is vectorized .NET code.
/// </summary>
internal sealed unsafe class SwiGluFunction : autograd.SingleTensorFunction<SwiGluFunction>
{
    public override string Name => nameof(SwiGlu);

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        (Tensor x, Tensor down) = ((Tensor)vars[0], (Tensor)vars[3]);
        Tensor gateAndUp = cat([(Tensor)vars[1], (Tensor)vars[2]], 0), inputs = x.mm(gateAndUp.t());
        (long n, int width) = (inputs.shape[0], (int)down.shape[1]);
        Tensor hidden = empty(n, width);
        float* gate = TensorMemory.Floats(inputs), h = TensorMemory.Floats(hidden);
        for (long row = 0; row < n; row++, gate += 2 * width, h += width)
        {
            for (int i = 0; i < width; i += SmallMatrix.Lanes)
            {
                Vector<float> a = Vector.Load(gate + i);
                (a * SmallMatrix.Sigmoid(a) * Vector.Load(gate + width + i)).Store(h + i);
            }
        }
        ctx.save_for_backward([x, gateAndUp, inputs, hidden, down]);
        return hidden.mm(down.t());
    }

    /// <summary>With s = σ(a), the derivative of SiLU(a) = a·s is s·(1 + a·(1 − s)).</summary>
    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        List<Tensor> saved = ctx.get_saved_variables();
        (Tensor x, Tensor gateAndUp, Tensor inputs, Tensor hidden, Tensor down) = (saved[0], saved[1], saved[2], saved[3], saved[4]);
        (long n, int width) = (inputs.shape[0], (int)down.shape[1]);
        Tensor downGradient = grad_output.t().mm(hidden), hiddenGradient = grad_output.mm(down), inputGradients = empty(inputs.shape);
        float* gate = TensorMemory.Floats(inputs), g = TensorMemory.Floats(hiddenGradient), dGate = TensorMemory.Floats(inputGradients);
        for (long row = 0; row < n; row++, gate += 2 * width, dGate += 2 * width, g += width)
        {
            for (int i = 0; i < width; i += SmallMatrix.Lanes)
            {
                Vector<float> a = Vector.Load(gate + i), s = SmallMatrix.Sigmoid(a), gs = Vector.Load(g + i) * s;
                (gs * Vector.Load(gate + width + i) * (Vector<float>.One + a * (Vector<float>.One - s))).Store(dGate + i);
                (gs * a).Store(dGate + width + i);
            }
        }
        GC.KeepAlive(hiddenGradient);
        Tensor weightGradients = inputGradients.t().mm(x);
        return [inputGradients.mm(gateAndUp), weightGradients.narrow(0, 0, width), weightGradients.narrow(0, width, width), downGradient];
    }
}
