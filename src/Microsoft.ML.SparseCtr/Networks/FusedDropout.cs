using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// Dropout. Of floats in the CPU's memory, .NET code draws what is dropped, a vector at a time: libtorch draws number by number, which took longer than a
/// block's products. On a GPU, a kernel does (Dropout.cu). Both take seeds from a generator of its own that begins with a number of libtorch's.
/// </summary>
internal sealed class FusedDropout(double probability) : nn.Module<Tensor, Tensor>(nameof(FusedDropout))
{
    private SeededRandom? _seeds;

    public override Tensor forward(Tensor x)
    {
        if (!training || probability == 0)
            return x;
        if (CudaNumber.KernelsFor(x) is null && !TensorMemory.IsDirect(x))
            return nn.functional.dropout(x, probability);
        _seeds ??= new SeededRandom((int)(int.MaxValue * rand(1, ScalarType.Float64).item<double>()));
        return DropoutFunction.apply(x, probability, _seeds.Next());
    }

    /// <summary>Carries the state of its generator, which begins with the first batch.</summary>
    public void Carry(StateStream stream)
    {
        int[] state = _seeds?.State ?? [];
        stream.Carry(ref state);
        if (stream.IsReading)
            _seeds = state.Length > 0 ? new SeededRandom(state) : null;
    }
}

/// <summary>Dropout of a tensor with a probability and a seed, which gives the same mask again in the backward pass.</summary>
internal sealed unsafe class DropoutFunction : FusedFunction<DropoutFunction>
{
    // Of Dropout.cu.
    private const int Threads = 256, NumbersPerBlock = 4 * Threads;

    private const string ProbabilityKey = "probability", SeedKey = "seed";

    public override string Name => nameof(FusedDropout);

    protected override Tensor Compute(autograd.AutogradContext ctx, object[] vars)
    {
        ctx.save_data(ProbabilityKey, vars[1]);
        ctx.save_data(SeedKey, vars[2]);
        return Masked((Tensor)vars[0], (double)vars[1], (int)vars[2]);
    }

    protected override List<Tensor> Differentiate(autograd.AutogradContext ctx, Tensor gradient)
        => [Masked(gradient, (double)ctx.get_data(ProbabilityKey)!, (int)ctx.get_data(SeedKey)!), null!, null!];

    private static Tensor Masked(Tensor x, double probability, int seed)
    {
        Tensor from = x.contiguous(), to = empty(x.shape, x.dtype, x.device);
        (uint threshold, float scale) = ((uint)(probability * uint.MaxValue), (float)(1 / (1 - probability)));
        if (CudaNumber.KernelsFor(x) is { } kernels)
            Mask(kernels, from, to, seed, threshold, scale);
        else
            Mask(TensorMemory.Floats(from), TensorMemory.Floats(to), x.numel(), seed, threshold, scale);
        GC.KeepAlive(from);
        return to;
    }

    private static void Mask(CudaKernels kernels, Tensor from, Tensor to, int seed, uint threshold, float scale)
    {
        var parameters = new Parameters { From = DeviceMemory.AddressOf(from), To = DeviceMemory.AddressOf(to), Count = from.numel(), Seed = seed, Threshold = threshold, Scale = scale };
        kernels.Launch(ProgramFor(from.dtype), "drop", ((int)((parameters.Count + NumbersPerBlock - 1) / NumbersPerBlock), 1, 1), parameters);
    }

    public static CudaProgram ProgramFor(ScalarType type) => new("Dropout.cu", Threads, ("Number", CudaNumber.NameOf(type)));

    /// <summary>Dropout, as Dropout.cu declares it.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Parameters
    {
        public nint From, To;
        public long Count;
        public int Seed;
        public uint Threshold;
        public float Scale;
    }

    /// <summary>Each of eight lanes draws by xorshift (Marsaglia, 2003): the same number on any machine, so that a seed gives the same mask.</summary>
    private static void Mask(float* from, float* to, long count, int seed, uint threshold, float scale)
    {
        var random = new Random(seed);
        Span<uint> states = stackalloc uint[Vector256<uint>.Count];
        foreach (ref uint state in states)
            state = (uint)random.Next() + 1;
        Vector256<uint> drawn = Vector256.Create<uint>(states), thresholds = Vector256.Create(threshold);
        Vector256<float> scales = Vector256.Create(scale);
        long i = 0;
        for (; i + Vector256<float>.Count <= count; i += Vector256<float>.Count)
        {
            drawn = Next(drawn);
            Keep(drawn, thresholds, Vector256.Load(from + i) * scales).Store(to + i);
        }
        if (i < count)
        {
            Vector256<float> kept = Keep(Next(drawn), thresholds, scales);
            for (int lane = 0; i < count; i++, lane++)
                to[i] = from[i] * kept[lane];
        }
    }

    private static Vector256<uint> Next(Vector256<uint> state)
    {
        state ^= Vector256.ShiftLeft(state, 13);
        state ^= Vector256.ShiftRightLogical(state, 17);
        return state ^ Vector256.ShiftLeft(state, 5);
    }

    private static Vector256<float> Keep(Vector256<uint> drawn, Vector256<uint> threshold, Vector256<float> values)
        => Vector256.ConditionalSelect(Vector256.LessThan(drawn, threshold).AsSingle(), Vector256<float>.Zero, values);
}
