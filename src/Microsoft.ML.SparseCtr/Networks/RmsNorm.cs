using System.Numerics;
using System.Runtime.InteropServices;
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
    private readonly ScalarType _typeOnGpu;

    /// <param name="dimension">d.</param>
    /// <param name="isMixed">Whether a GPU puts out bfloat16 numbers, which what follows computes with then.</param>
    public RmsNorm(int dimension, bool isMixed = false) : base(nameof(RmsNorm))
    {
        _typeOnGpu = isMixed ? bfloat16 : float32;
        weight = new Parameter(ones(dimension));
        register_parameter(nameof(weight), weight);
    }

    public override Tensor forward(Tensor x) => CudaNumber.KernelsFor(x) is not null ? RmsNormFunction.apply(x, weight, _typeOnGpu)
        : TensorMemory.IsDirect(x) && weight.numel() % SmallMatrix.Lanes == 0 ? RmsNormFunction.apply(x, weight, x.dtype)
        : x * (x.square().mean([-1], keepdim: true) + Epsilon).rsqrt() * weight;
}

/// <summary>
/// <see cref="RmsNorm"/> of x [n, d] and the weight as one function, which puts out numbers of a type: a kernel on a GPU, and of floats in the CPU's memory vectorized
/// .NET code. In tensor operators it is six passes over memory forward, and more backward.
/// </summary>
internal sealed unsafe class RmsNormFunction : FusedFunction<RmsNormFunction>
{
    public override string Name => nameof(RmsNorm);

    protected override Tensor Compute(autograd.AutogradContext ctx, object[] vars)
    {
        (Tensor x, Tensor weight) = (((Tensor)vars[0]).contiguous(), (Tensor)vars[1]);
        ctx.save_for_backward([x, weight]);
        Tensor output = empty(x.shape, (ScalarType)vars[2], x.device);
        if (CudaNumber.KernelsFor(x) is { } kernels)
            CudaRmsNorm.Normalize(kernels, x, weight, output);
        else
            Normalize(x, weight, output);
        return output;
    }

    /// <summary>With r = 1/√(mean(x²) + ε) and h = g·weight, the gradient of x is r·h − x·r³·mean(h·x), and that of the weight Σ g·x·r.</summary>
    protected override List<Tensor> Differentiate(autograd.AutogradContext ctx, Tensor gradient)
    {
        List<Tensor> saved = ctx.get_saved_variables();
        (Tensor x, Tensor weight, Tensor outputGradient, Tensor xGradient) = (saved[0], saved[1], gradient.contiguous(), empty_like(saved[0]));
        Tensor weightGradient = CudaNumber.KernelsFor(x) is { } kernels
            ? CudaRmsNorm.Differentiate(kernels, x, weight, outputGradient, xGradient)
            : Differentiate(x, weight, outputGradient, xGradient);
        GC.KeepAlive(outputGradient);
        return [xGradient, weightGradient, null!];
    }

    private static void Normalize(Tensor x, Tensor weight, Tensor output)
    {
        int d = (int)weight.shape[0];
        float* row = TensorMemory.Floats(x), w = TensorMemory.Floats(weight), y = TensorMemory.Floats(output);
        for (long left = x.shape[0]; left > 0; left--, row += d, y += d)
        {
            Vector<float> inverse = Vector.Create(SmallMatrix.InverseRootMeanSquare(row, d, (float)RmsNorm.Epsilon));
            for (int i = 0; i < d; i += SmallMatrix.Lanes)
                (Vector.Load(row + i) * inverse * Vector.Load(w + i)).Store(y + i);
        }
    }

    /// <summary>Writes the gradient of x, and returns that of the weight.</summary>
    private static Tensor Differentiate(Tensor x, Tensor weight, Tensor gradient, Tensor xGradient)
    {
        Tensor weightGradient = zeros(weight.shape);
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
        return weightGradient;
    }
}

/// <summary><see cref="RmsNormFunction"/> on a GPU: what RmsNorm.cu computes.</summary>
internal static class CudaRmsNorm
{
    private const int Threads = 128, RowsPerBlock = 4;

    /// <summary>Blocks that, at most, add up the weight's gradient: enough to keep a GPU busy.</summary>
    private const int LargestShares = 1024;

    public static void Normalize(CudaKernels kernels, Tensor x, Tensor weight, Tensor output)
    {
        Parameters parameters = ParametersOf(x, weight) with { Output = DeviceMemory.AddressOf(output) };
        kernels.Launch(ProgramFor(weight.shape[0], x.dtype, output.dtype), "normalize", ((int)Blocks(x.shape[0]), 1, 1), parameters);
    }

    /// <summary>Writes the gradient of x, and returns that of the weight.</summary>
    public static Tensor Differentiate(CudaKernels kernels, Tensor x, Tensor weight, Tensor gradient, Tensor xGradient)
    {
        // Each warp goes through a few rows, so that the shares are few beside them.
        const int rowsPerWarp = 8;
        long blocks = Math.Min(LargestShares, Blocks((x.shape[0] + rowsPerWarp - 1) / rowsPerWarp));
        Tensor shares = empty(new[] { blocks * RowsPerBlock, weight.shape[0] }, float32, x.device);
        Parameters parameters = ParametersOf(x, weight) with
        {
            OutputGradient = DeviceMemory.AddressOf(gradient), InputGradient = DeviceMemory.AddressOf(xGradient), WeightGradients = DeviceMemory.AddressOf(shares),
        };
        kernels.Launch(ProgramFor(weight.shape[0], x.dtype, gradient.dtype), "differentiate", ((int)blocks, 1, 1), parameters);
        return shares.sum([0]);
    }

    public static CudaProgram ProgramFor(long dimension, ScalarType input, ScalarType output)
        => new("RmsNorm.cu", Threads, ("DIMENSION", dimension), ("Input", CudaNumber.NameOf(input)), ("Output", CudaNumber.NameOf(output)));

    private static long Blocks(long rows) => (rows + RowsPerBlock - 1) / RowsPerBlock;

    private static Parameters ParametersOf(Tensor x, Tensor weight) => new()
    {
        Input = DeviceMemory.AddressOf(x), Weight = DeviceMemory.AddressOf(weight), Rows = x.shape[0], Epsilon = (float)RmsNorm.Epsilon,
    };

    /// <summary>RmsNorm, as RmsNorm.cu declares it.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Parameters
    {
        public nint Input, Weight, Output, OutputGradient, InputGradient, WeightGradients;
        public long Rows;
        public float Epsilon;
    }
}
