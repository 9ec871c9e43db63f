using System.Numerics;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>x · weight / √(mean(x²) + ε), over the last dimension.</summary>
internal sealed class RmsNorm : nn.Module<Tensor, Tensor>
{
    public const double Epsilon = 1e-6;

    // TorchSharp moves a parameter to another device or type by putting the new one into the field of its name.
    private Parameter weight;

    public RmsNorm(int dimension) : base(nameof(RmsNorm))
    {
        weight = new Parameter(ones(dimension));
        register_parameter(nameof(weight), weight);
    }

    public override Tensor forward(Tensor x) => TensorMemory.IsDirect(x) && weight.numel() % SmallMatrix.Lanes == 0
        ? RmsNormFunction.apply(x, weight)
        : x * (x.square().mean([-1], keepdim: true) + Epsilon).rsqrt() * weight;
}

/// <summary>
/// <see cref="RmsNorm"/> of [n, d] floats in the CPU's memory as one function, in vectorized .NET code: in tensor operators it is six passes over
/// memory forward, and more backward.
/// </summary>
internal sealed unsafe class RmsNormFunction : autograd.SingleTensorFunction<RmsNormFunction>
{
    public override string Name => nameof(RmsNorm);

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        (Tensor x, Tensor weight) = (((Tensor)vars[0]).contiguous(), (Tensor)vars[1]);
        ctx.save_for_backward([x, weight]);
        Tensor output = empty(x.shape);
        int d = (int)weight.shape[0];
        float* row = TensorMemory.Floats(x), w = TensorMemory.Floats(weight), y = TensorMemory.Floats(output);
        for (long left = x.shape[0]; left > 0; left--, row += d, y += d)
        {
            Vector<float> inverse = Vector.Create(SmallMatrix.InverseRootMeanSquare(row, d, (float)RmsNorm.Epsilon));
            for (int i = 0; i < d; i += SmallMatrix.Lanes)
                (Vector.Load(row + i) * inverse * Vector.Load(w + i)).Store(y + i);
        }
        return output;
    }

    /// <summary>With r = 1/√(mean(x²) + ε) and h = g·weight, the gradient of x is r·h − x·r³·mean(h·x), and that of the weight Σ g·x·r.</summary>
    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        List<Tensor> saved = ctx.get_saved_variables();
        (Tensor x, Tensor weight, Tensor gradient) = (saved[0], saved[1], grad_output.contiguous());
        (Tensor xGradient, Tensor weightGradient) = (empty(x.shape), zeros(weight.shape));
        int d = (int)weight.shape[0];
        float* row = TensorMemory.Floats(x), w = TensorMemory.Floats(weight), g = TensorMemory.Floats(gradient);
        float* dx = TensorMemory.Floats(xGradient), dw = TensorMemory.Floats(weightGradient);
        for (long left = x.shape[0]; left > 0; left--, row += d, g += d, dx += d)
        {
            float r = SmallMatrix.InverseRootMeanSquare(row, d, (float)RmsNorm.Epsilon);
            Vector<float> inverse = Vector.Create(r), sums = Vector<float>.Zero;
            for (int i = 0; i < d; i += SmallMatrix.Lanes)
            {
                Vector<float> gx = Vector.Load(g + i) * Vector.Load(row + i);
                sums = Vector.MultiplyAddEstimate(gx, Vector.Load(w + i), sums);
                Vector.MultiplyAddEstimate(gx, inverse, Vector.Load(dw + i)).Store(dw + i);
            }
            Vector<float> share = Vector.Create(r * r * r * Vector.Sum(sums) / d);
            for (int i = 0; i < d; i += SmallMatrix.Lanes)
                (Vector.Load(g + i) * Vector.Load(w + i) * inverse - Vector.Load(row + i) * share).Store(dx + i);
        }
        GC.KeepAlive(gradient);
        return [xGradient, weightGradient];
    }
}
