using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// <see cref="EvoAttentionKernel"/> as a differentiable function of the tokens [tokens, d], the weights of query, key, value [d, d] and gate [3·H, d],
/// and RelTemporal's coefficients [H, 3], all float32 on the CPU; further of the plan and of whether the candidates are the only queries. The projections
/// are part of it: as functions of their own they cost more than their arithmetic where batches are small.
/// </summary>
internal sealed unsafe class EvoAttentionFunction : autograd.SingleTensorFunction<EvoAttentionFunction>
{
    private const string PlanKey = "plan", CandidatesOnlyKey = "candidatesOnly";

    public override string Name => nameof(EvoAttention);

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        Tensor x = (Tensor)vars[0], query = (Tensor)vars[1], key = (Tensor)vars[2], value = (Tensor)vars[3], gate = (Tensor)vars[4];
        Tensor coefficients = (Tensor)vars[5];
        (EvoAttentionPlan plan, bool candidatesOnly) = ((EvoAttentionPlan)vars[6], (bool)vars[7]);
        Tensor asking = Asking(x, plan, candidatesOnly);
        Tensor queries = asking.mm(query.t()), keys = x.mm(key.t()), values = x.mm(value.t()), gates = asking.mm(gate.t()).sigmoid_();
        ctx.save_for_backward([x, query, key, value, gate, coefficients, queries, keys, values, gates]);
        ctx.save_data(PlanKey, plan);
        ctx.save_data(CandidatesOnlyKey, candidatesOnly);

        Tensor output = empty(queries.shape);
        Run([queries, keys, values, gates, coefficients], plan, candidatesOnly, output: output);
        return output;
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        List<Tensor> saved = ctx.get_saved_variables(), inputs = saved[6..10];
        inputs.Add(saved[5]);
        Tensor x = saved[0], query = saved[1], key = saved[2], value = saved[3], gate = saved[4], gates = saved[9];
        (EvoAttentionPlan plan, bool candidatesOnly) = ((EvoAttentionPlan)ctx.get_data(PlanKey)!, (bool)ctx.get_data(CandidatesOnlyKey)!);
        Tensor queries = empty(inputs[0].shape), keys = zeros(inputs[1].shape), values = zeros(inputs[2].shape), logits = empty(gates.shape);
        Tensor coefficients = empty(inputs[4].shape);
        Run(inputs, plan, candidatesOnly, outputGradient: grad_output.contiguous(), gradients: [queries, keys, values, logits, coefficients]);
        MultiplyBySigmoidDerivative(TensorMemory.Floats(logits), TensorMemory.Floats(gates), logits.numel());

        Tensor asking = Asking(x, plan, candidatesOnly), tokens = keys.mm(key).addmm_(values, value);
        Asking(tokens, plan, candidatesOnly).addmm_(queries, query).addmm_(logits, gate);
        return
        [
            tokens, queries.t().mm(asking), keys.t().mm(x), values.t().mm(x), logits.t().mm(asking), coefficients, null!, null!,
        ];
    }

    private static Tensor Asking(Tensor tokens, EvoAttentionPlan plan, bool candidatesOnly)
        => candidatesOnly ? tokens.narrow(0, plan.BehaviorCount, plan.CandidateCount) : tokens;

    /// <summary>The derivative of g = σ(s) is g·(1 − g).</summary>
    private static void MultiplyBySigmoidDerivative(float* gradients, float* gates, long count)
    {
        for (long i = 0; i < count; i++)
            gradients[i] *= gates[i] * (1 - gates[i]);
    }

    /// <summary>Runs the kernel.</summary>
    /// <param name="inputs">Queries [queries, d], keys and values [tokens, d], gates [queries, 3·H] and coefficients.</param>
    /// <param name="plan">Who sees whom.</param>
    /// <param name="candidatesOnly">Whether the candidates are the only queries.</param>
    /// <param name="output">[queries, d] of a forward pass.</param>
    /// <param name="outputGradient">[queries, d] of a backward pass.</param>
    /// <param name="gradients">Those of the inputs, which it makes; of keys and values, zeros to which it adds.</param>
    internal static void Run(
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

    private static float* Memory(Tensor? tensor) => tensor is null ? null : TensorMemory.Floats(tensor);
}
