using System.Numerics;
using System.Runtime.InteropServices;
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

    public override Tensor forward(Tensor x) => CudaNumber.KernelsFor(x) is not null || (TensorMemory.IsDirect(x) && _gate.weight.shape[0] % SmallMatrix.Lanes == 0)
        ? SwiGluFunction.apply(x, _gate.weight, _up.weight, _down.weight)
        : _down.forward(_gate.forward(x).silu() * _up.forward(x));
}

/// <summary>
/// <see cref="SwiGlu"/> of x [n, d] as one function of it and the weights of gate, up and down, which computes in the type of x: gate and up are one
/// product, and what is between the products is a kernel on a GPU, and of floats in the CPU's memory vectorized .NET code.
/// </summary>
internal sealed unsafe class SwiGluFunction : FusedFunction<SwiGluFunction>
{
    public override string Name => nameof(SwiGlu);

    protected override Tensor Compute(autograd.AutogradContext ctx, object[] vars)
    {
        (Tensor x, Tensor gate, Tensor up) = ((Tensor)vars[0], (Tensor)vars[1], (Tensor)vars[2]);
        Tensor gateAndUp = cat([gate, up], 0).to(x.dtype), down = ((Tensor)vars[3]).to(x.dtype), inputs = x.mm(gateAndUp.t());
        Tensor hidden = empty(new[] { inputs.shape[0], down.shape[1] }, x.dtype, x.device);
        if (CudaNumber.KernelsFor(x) is { } kernels)
            CudaSwiGlu.Gate(kernels, inputs, hidden);
        else
            Gate(inputs, hidden);
        ctx.save_for_backward([x, gateAndUp, inputs, hidden, down]);
        return hidden.mm(down.t());
    }

    /// <summary>With s = σ(a), the derivative of SiLU(a) = a·s is s·(1 + a·(1 − s)).</summary>
    protected override List<Tensor> Differentiate(autograd.AutogradContext ctx, Tensor gradient)
    {
        List<Tensor> saved = ctx.get_saved_variables();
        (Tensor x, Tensor gateAndUp, Tensor inputs, Tensor hidden, Tensor down) = (saved[0], saved[1], saved[2], saved[3], saved[4]);
        Tensor downGradient = gradient.t().mm(hidden), hiddenGradient = gradient.mm(down), inputGradients = empty_like(inputs);
        if (CudaNumber.KernelsFor(x) is { } kernels)
            CudaSwiGlu.Differentiate(kernels, inputs, hiddenGradient, inputGradients);
        else
            Differentiate(inputs, hiddenGradient, inputGradients);
        GC.KeepAlive(hiddenGradient);
        (Tensor weightGradients, long width) = (inputGradients.t().mm(x).to(float32), down.shape[1]);
        return [inputGradients.mm(gateAndUp), weightGradients.narrow(0, 0, width), weightGradients.narrow(0, width, width), downGradient.to(float32)];
    }

    private static void Gate(Tensor inputs, Tensor hidden)
    {
        (long n, int width) = (hidden.shape[0], (int)hidden.shape[1]);
        float* gate = TensorMemory.Floats(inputs), h = TensorMemory.Floats(hidden);
        for (long row = 0; row < n; row++, gate += 2 * width, h += width)
        {
            for (int i = 0; i < width; i += SmallMatrix.Lanes)
            {
                Vector<float> a = Vector.Load(gate + i);
                (a * SmallMatrix.Sigmoid(a) * Vector.Load(gate + width + i)).Store(h + i);
            }
        }
    }

    private static void Differentiate(Tensor inputs, Tensor hiddenGradient, Tensor inputGradients)
    {
        (long n, int width) = (hiddenGradient.shape[0], (int)hiddenGradient.shape[1]);
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
    }
}

/// <summary>What is between the products of <see cref="SwiGluFunction"/> on a GPU: what SwiGlu.cu computes.</summary>
internal static class CudaSwiGlu
{
    private const int Threads = 128;

    public static void Gate(CudaKernels kernels, Tensor inputs, Tensor hidden)
        => Launch(kernels, "gate", hidden, new() { Inputs = DeviceMemory.AddressOf(inputs), Hidden = DeviceMemory.AddressOf(hidden) });

    public static void Differentiate(CudaKernels kernels, Tensor inputs, Tensor hiddenGradient, Tensor inputGradients) => Launch(kernels, "differentiate", hiddenGradient, new()
    {
        Inputs = DeviceMemory.AddressOf(inputs), HiddenGradient = DeviceMemory.AddressOf(hiddenGradient), InputGradients = DeviceMemory.AddressOf(inputGradients),
    });

    public static CudaProgram ProgramFor(ScalarType type) => new("SwiGlu.cu", Threads, ("Number", CudaNumber.NameOf(type)));

    private static void Launch(CudaKernels kernels, string kernel, Tensor hidden, Parameters parameters)
    {
        (long rows, parameters.Width) = (hidden.shape[0], (int)hidden.shape[1]);
        kernels.Launch(ProgramFor(hidden.dtype), kernel, ((int)rows, (parameters.Width + Threads - 1) / Threads, 1), parameters);
    }

    /// <summary>SwiGlu, as SwiGlu.cu declares it.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Parameters
    {
        public nint Inputs, Hidden, HiddenGradient, InputGradients;
        public int Width;
    }
}
