using TorchSharp;
using TorchSharp.Modules;
using static Microsoft.ML.SparseCtr.SmallMatrix;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// Multi-head attention of each candidate to behaviors of its own: softmax(q·k/√d_h)·v over them and the zero token, which has logit and value 0 and
/// makes it defined for who has no past.
/// </summary>
internal sealed class TargetAttention : nn.Module<Tensor, Tensor, long[], Tensor>, IAttention
{
    private readonly Linear _query, _key, _value, _output;
    private readonly int _heads, _headDimension;

    public TargetAttention(int dimension, int heads) : base(nameof(TargetAttention))
    {
        (_heads, _headDimension) = (heads, dimension / heads);
        register_module("query", _query = nn.Linear(dimension, dimension, hasBias: false));
        register_module("key", _key = nn.Linear(dimension, dimension, hasBias: false));
        register_module("value", _value = nn.Linear(dimension, dimension, hasBias: false));
        register_module("output", _output = nn.Linear(dimension, dimension, hasBias: false));
    }

    /// <summary>Keys start as the queries, by which a candidate attends to behaviors that are like it.</summary>
    public void PrepareFirstWeights() => _key.weight!.copy_(_query.weight!);

    /// <param name="candidates">[C, d].</param>
    /// <param name="tokens">[n, d].</param>
    /// <param name="places">[C · K] the tokens that each candidate attends to; negative for none.</param>
    /// <returns>[C, d].</returns>
    public override Tensor forward(Tensor candidates, Tensor tokens, long[] places)
    {
        Tensor queries = _query.forward(candidates), keysAndValues = cat([_key.forward(tokens), _value.forward(tokens)], 1);
        bool isFused = TensorMemory.IsDirect(candidates) && _headDimension % Lanes == 0;
        return _output.forward(isFused
            ? TargetAttentionFunction.apply(queries, keysAndValues, places, _heads)
            : Attend(queries, keysAndValues, tensor(places, device: tokens.device).reshape(candidates.shape[0], places.Length / candidates.shape[0])));
    }

    /// <summary>The same in tensor operators, which gather the keys and values of each candidate.</summary>
    private Tensor Attend(Tensor queries, Tensor keysAndValues, Tensor places)
    {
        (long count, long seen, long d) = (places.shape[0], places.shape[1] + 1, queries.shape[1]);
        // The zero token is the row behind the tokens, and stands wherever there is none.
        Tensor zeroPlace = full(new[] { count, 1 }, keysAndValues.shape[0], int64, places.device), isNone = places.lt(0);
        Tensor rows = cat([zeroPlace, where(isNone, zeroPlace, places)], 1).reshape(count * seen);
        Tensor hidden = cat([zeros(count, 1, ScalarType.Bool, places.device), isNone], 1).reshape(count, 1, 1, seen).expand(-1, _heads, -1, -1);

        Tensor[] gathered = cat([keysAndValues, zeros(1, 2 * d, queries.dtype, queries.device)]).index_select(0, rows).chunk(2, 1);
        Tensor query = Heads(queries, count, 1), key = Heads(gathered[0], count, seen), value = Heads(gathered[1], count, seen);
        Tensor logits = query.bmm(key.transpose(1, 2)) / Math.Sqrt(_headDimension);
        Tensor weights = logits.masked_fill(hidden.reshape(count * _heads, 1, seen), double.NegativeInfinity).softmax(-1);
        return weights.bmm(value).reshape(count, d);
    }

    /// <summary>[C·S, d] → [C·H, S, d_h].</summary>
    private Tensor Heads(Tensor packed, long count, long size)
        => packed.reshape(count, size, _heads, _headDimension).transpose(1, 2).reshape(count * _heads, size, _headDimension);
}

/// <summary>
/// <see cref="TargetAttention"/> from queries [C, d], keys and values [n, 2d], places [C·K] and the number of heads to what the heads put out, of floats in the CPU's
/// memory: keys and values are read where they are. Gathering them, and adding up the gradients of what was gathered, took most of a training step.
/// The backward pass computes the weights again. Threads share the heads, so that no two write the same number, and each sums in an order of its own.
/// </summary>
internal sealed unsafe class TargetAttentionFunction : FusedFunction<TargetAttentionFunction>
{
    /// <summary>Numbers of keys below which a second thread costs more than it does.</summary>
    private const long NumbersPerThread = 200_000;

    private const string PlacesKey = "places", HeadsKey = "heads";

    public override string Name => nameof(TargetAttention);

    protected override Tensor Compute(autograd.AutogradContext ctx, object[] vars)
    {
        (Tensor queries, Tensor keysAndValues) = ((Tensor)vars[0], (Tensor)vars[1]);
        ctx.save_for_backward([queries, keysAndValues]);
        ctx.save_data(PlacesKey, vars[2]);
        ctx.save_data(HeadsKey, vars[3]);
        Tensor output = zeros(queries.shape);
        Run(queries, keysAndValues, (long[])vars[2], (int)vars[3], output: output);
        return output;
    }

    protected override List<Tensor> Differentiate(autograd.AutogradContext ctx, Tensor gradient)
    {
        List<Tensor> saved = ctx.get_saved_variables();
        Tensor outputGradient = gradient.contiguous(), queryGradient = zeros(saved[0].shape), keyAndValueGradient = zeros(saved[1].shape);
        Run(saved[0], saved[1], (long[])ctx.get_data(PlacesKey)!, (int)ctx.get_data(HeadsKey)!,
            outputGradient: outputGradient, queryGradient: queryGradient, keyAndValueGradient: keyAndValueGradient);
        return [queryGradient, keyAndValueGradient, null!, null!];
    }

    private static void Run(
        Tensor queries, Tensor keysAndValues, long[] places, int heads,
        Tensor? output = null, Tensor? outputGradient = null, Tensor? queryGradient = null, Tensor? keyAndValueGradient = null)
    {
        (int candidates, int d) = ((int)queries.shape[0], (int)queries.shape[1]);
        fixed (long* place = places)
        {
            var kernel = new TargetAttentionKernel(candidates, places.Length / Math.Max(1, candidates), heads, d / heads)
            {
                Queries = TensorMemory.Floats(queries),
                QueryStride = d,
                KeysAndValues = TensorMemory.Floats(keysAndValues),
                KeyStride = 2 * d,
                Places = place,
                Output = Memory(output),
                OutputGradient = Memory(outputGradient),
                QueryGradient = Memory(queryGradient),
                KeyAndValueGradient = Memory(keyAndValueGradient),
            };
            int threads = Math.Min(heads, ThreadCount.For((long)places.Length * d, NumbersPerThread));
            if (threads == 1)
                kernel.Compute(0, heads);
            else
                Parallel.For(0, threads, thread => kernel.Compute(heads * thread / threads, heads * (thread + 1) / threads));
        }
        GC.KeepAlive((queries, keysAndValues));
        GC.KeepAlive((output, outputGradient, queryGradient, keyAndValueGradient));
    }

    private static float* Memory(Tensor? tensor) => tensor is null ? null : TensorMemory.Floats(tensor);
}
