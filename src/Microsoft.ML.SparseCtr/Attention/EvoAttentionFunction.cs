using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// <see cref="EvoAttentionKernel"/> as a differentiable function of queries [queries, d], keys and values [tokens, d], gates [queries, 3·H] and RelTemporal's
/// coefficients [H, 3], all float32 on the CPU; further of the plan and of whether the candidates are the only queries.
/// </summary>
internal sealed unsafe class EvoAttentionFunction : autograd.SingleTensorFunction<EvoAttentionFunction>
{
    private const string PlanKey = "plan", CandidatesOnlyKey = "candidatesOnly";

    public override string Name => nameof(EvoAttention);

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        List<Tensor> inputs = vars.OfType<Tensor>().Select(input => input.contiguous()).ToList();
        (EvoAttentionPlan plan, bool candidatesOnly) = ((EvoAttentionPlan)vars[^2], (bool)vars[^1]);
        ctx.save_for_backward(inputs);
        ctx.save_data(PlanKey, plan);
        ctx.save_data(CandidatesOnlyKey, candidatesOnly);

        Tensor output = empty(inputs[0].shape);
        Run(inputs, plan, candidatesOnly, output: output);
        return output;
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        List<Tensor> inputs = ctx.get_saved_variables();
        (EvoAttentionPlan plan, bool candidatesOnly) = ((EvoAttentionPlan)ctx.get_data(PlanKey)!, (bool)ctx.get_data(CandidatesOnlyKey)!);
        List<Tensor> gradients = [empty(inputs[0].shape), zeros(inputs[1].shape), zeros(inputs[2].shape), empty(inputs[3].shape), empty(inputs[4].shape)];
        Run(inputs, plan, candidatesOnly, outputGradient: grad_output.contiguous(), gradients: gradients);
        return [.. gradients, null!, null!];
    }

    private static void Run(
        List<Tensor> inputs, EvoAttentionPlan plan, bool candidatesOnly, Tensor? output = null, Tensor? outputGradient = null, List<Tensor>? gradients = null)
    {
        int heads = (int)inputs[4].shape[0];
        new EvoAttentionKernel
        {
            Plan = plan,
            CandidatesOnly = candidatesOnly,
            Heads = heads,
            HeadDimension = (int)inputs[0].shape[1] / heads,
            Queries = Memory(inputs[0]),
            Keys = Memory(inputs[1]),
            Values = Memory(inputs[2]),
            Gates = Memory(inputs[3]),
            Coefficients = Memory(inputs[4]),
            Output = Memory(output),
            OutputGradient = Memory(outputGradient),
            QueryGradient = Memory(gradients?[0]),
            KeyGradient = Memory(gradients?[1]),
            ValueGradient = Memory(gradients?[2]),
            GateGradient = Memory(gradients?[3]),
            CoefficientGradient = Memory(gradients?[4]),
        }.Run();
        GC.KeepAlive(inputs);
        GC.KeepAlive(outputGradient);
    }

    private static float* Memory(Tensor? tensor)
        => tensor is null ? null : (float*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(tensor.bytes));
}
