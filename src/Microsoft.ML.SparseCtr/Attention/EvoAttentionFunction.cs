using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// <see cref="EvoAttentionKernel"/> as a differentiable function of the tokens [tokens, d], the weights of query, key, value [d, d] and gate [3·H, d],
/// the gate's bias [3·H], and RelTemporal's coefficients [H, 3], all float32 on the CPU; further of the plan and of whether the candidates are the only queries. The projections
/// are part of it, queries and gates as one product and keys and values as another: one by one they cost more than their arithmetic.
/// </summary>
internal sealed unsafe class EvoAttentionFunction : FusedFunction<EvoAttentionFunction>
{
    private const string PlanKey = "plan", CandidatesOnlyKey = "candidatesOnly";

    public override string Name => nameof(EvoAttention);

    protected override Tensor Compute(autograd.AutogradContext ctx, object[] vars)
    {
        Tensor x = (Tensor)vars[0], query = (Tensor)vars[1], key = (Tensor)vars[2], value = (Tensor)vars[3], gate = (Tensor)vars[4];
        (Tensor gateBias, Tensor coefficients) = ((Tensor)vars[5], (Tensor)vars[6]);
        (EvoAttentionPlan plan, bool candidatesOnly) = ((EvoAttentionPlan)vars[7], (bool)vars[8]);
        Tensor queryAndGate = cat([query, gate], 0), keyAndValue = cat([key, value], 0);
        Tensor asking = plan.Asking(x, candidatesOnly), seen = Seen(x, plan, candidatesOnly);
        Tensor queriesAndGates = asking.mm(queryAndGate.t()), keysAndValues = seen.mm(keyAndValue.t());
        long d = query.shape[0];
        queriesAndGates.narrow(1, d, gateBias.shape[0]).add_(gateBias).sigmoid_();
        CloseGates(queriesAndGates, d, plan.Options.Shape, heads: coefficients.shape[0]);
        ctx.save_for_backward([asking, seen, queryAndGate, keyAndValue, coefficients, queriesAndGates, keysAndValues]);
        ctx.save_data(PlanKey, plan);
        ctx.save_data(CandidatesOnlyKey, candidatesOnly);

        Tensor output = empty(queriesAndGates.shape[0], d);
        Run(queriesAndGates, keysAndValues, coefficients, plan, candidatesOnly, output: output);
        return output;
    }

    protected override List<Tensor> Differentiate(autograd.AutogradContext ctx, Tensor gradient)
    {
        List<Tensor> saved = ctx.get_saved_variables();
        (Tensor asking, Tensor seen, Tensor queryAndGate, Tensor keyAndValue) = (saved[0], saved[1], saved[2], saved[3]);
        (Tensor coefficients, Tensor queriesAndGates, Tensor keysAndValues) = (saved[4], saved[5], saved[6]);
        (EvoAttentionPlan plan, bool candidatesOnly) = ((EvoAttentionPlan)ctx.get_data(PlanKey)!, (bool)ctx.get_data(CandidatesOnlyKey)!);
        (Tensor askedGradient, Tensor seenGradient) = (empty(queriesAndGates.shape), zeros(keysAndValues.shape));
        Tensor coefficientGradient = empty(coefficients.shape);
        Run(queriesAndGates, keysAndValues, coefficients, plan, candidatesOnly, outputGradient: gradient.contiguous(),
            gradients: (askedGradient, seenGradient, coefficientGradient));
        long d = gradient.shape[1];
        MultiplyBySigmoidDerivative(TensorMemory.Floats(askedGradient), TensorMemory.Floats(queriesAndGates), askedGradient.shape[0], d, askedGradient.shape[1]);

        Tensor tokenGradient = TokenGradient(seenGradient.mm(keyAndValue), plan, candidatesOnly);
        plan.Asking(tokenGradient, candidatesOnly).addmm_(askedGradient, queryAndGate);
        return Gradients(tokenGradient, askedGradient, asking, seenGradient, seen, coefficientGradient);
    }

    /// <summary>The gradients of what this function, or its twin on a GPU, is given, one for each: those of the weights follow from those of queries and gates, and of keys and values.</summary>
    internal static List<Tensor> Gradients(
        Tensor tokenGradient, Tensor askedGradient, Tensor asking, Tensor seenGradient, Tensor seen, Tensor coefficientGradient)
    {
        long d = asking.shape[1], gates = askedGradient.shape[1] - d;
        Tensor askedWeights = askedGradient.t().mm(asking).to(float32), seenWeights = seenGradient.t().mm(seen).to(float32);
        return
        [
            tokenGradient, askedWeights.narrow(0, 0, d), seenWeights.narrow(0, 0, d), seenWeights.narrow(0, d, d),
            askedWeights.narrow(0, d, gates), askedGradient.narrow(1, d, gates).to(float32).sum([0]), coefficientGradient, null!, null!,
        ];
    }

    /// <summary>A branch that is left out has gates that are shut, which nothing comes through in either direction.</summary>
    private static void CloseGates(Tensor queriesAndGates, long first, AttentionShape shape, long heads)
    {
        for (int branch = 0; branch < EvoAttentionLayout.Branches; branch++)
        {
            if (!shape.Has(branch))
                queriesAndGates.narrow(1, first + branch * heads, heads).zero_();
        }
    }

    /// <summary>The derivative of g = σ(s) is g·(1 − g). The gates are the columns behind the queries.</summary>
    private static void MultiplyBySigmoidDerivative(float* gradients, float* gates, long rows, long first, long columns)
    {
        for (long row = 0; row < rows; row++, gradients += columns, gates += columns)
        {
            for (long i = first; i < columns; i++)
                gradients[i] *= gates[i] * (1 - gates[i]);
        }
    }

    private static bool IsOfColumns(EvoAttentionPlan plan, bool candidatesOnly) => candidatesOnly && plan.HasFewColumns;

    /// <summary>What keys and values are made of: the tokens, or the columns.</summary>
    private static Tensor Seen(Tensor tokens, EvoAttentionPlan plan, bool candidatesOnly)
    {
        if (!IsOfColumns(plan, candidatesOnly))
            return tokens;
        Tensor from = tokens.contiguous(), columns = empty(plan.ColumnCount, tokens.shape[1]);
        int d = (int)tokens.shape[1];
        plan.GatherColumns(TensorMemory.Floats(from), TensorMemory.Floats(columns), d, d);
        GC.KeepAlive(from);
        return columns;
    }

    /// <summary>The gradient of the tokens, by that of what keys and values are made of.</summary>
    private static Tensor TokenGradient(Tensor seenGradient, EvoAttentionPlan plan, bool candidatesOnly)
    {
        if (!IsOfColumns(plan, candidatesOnly))
            return seenGradient;
        Tensor tokens = zeros(plan.TokenCount, seenGradient.shape[1]);
        int d = (int)seenGradient.shape[1];
        plan.ScatterColumns(TensorMemory.Floats(seenGradient), TensorMemory.Floats(tokens), d, d);
        return tokens;
    }

    /// <summary>Runs the kernel forward, where an output is given, or backward. All tensors are as it names them, and contiguous.</summary>
    internal static void Run(
        Tensor queriesAndGates, Tensor keysAndValues, Tensor coefficients, EvoAttentionPlan plan, bool candidatesOnly,
        Tensor? output = null, Tensor? outputGradient = null, (Tensor QueriesAndGates, Tensor KeysAndValues, Tensor Coefficients)? gradients = null)
    {
        int heads = (int)coefficients.shape[0];
        new EvoAttentionKernel
        {
            Plan = plan,
            CandidatesOnly = candidatesOnly,
            OfColumns = IsOfColumns(plan, candidatesOnly),
            Heads = heads,
            HeadDimension = (int)keysAndValues.shape[1] / (2 * heads),
            QueriesAndGates = TensorMemory.Floats(queriesAndGates),
            KeysAndValues = TensorMemory.Floats(keysAndValues),
            Coefficients = TensorMemory.Floats(coefficients),
            Output = Memory(output),
            OutputGradient = Memory(outputGradient),
            QueriesAndGatesGradient = Memory(gradients?.QueriesAndGates),
            KeysAndValuesGradient = Memory(gradients?.KeysAndValues),
            CoefficientGradient = Memory(gradients?.Coefficients),
        }.Run();
        GC.KeepAlive((queriesAndGates, keysAndValues, coefficients));
        GC.KeepAlive((output, outputGradient, gradients));
    }

    private static float* Memory(Tensor? tensor) => tensor is null ? null : TensorMemory.Floats(tensor);
}
