using System.Buffers;
using TorchSharp;
using TorchSharp.Modules;
using static Microsoft.ML.SparseCtr.SmallMatrix;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// Multi-head attention of each candidate to behaviors of its own: softmax(q·k/√d_h)·v over them and the zero token, which has logit and value 0 and
/// makes it defined for who has no past.
/// </summary>
internal sealed class TargetAttention : nn.Module<Tensor, Tensor, long[], Tensor>
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
internal sealed unsafe class TargetAttentionFunction : autograd.SingleTensorFunction<TargetAttentionFunction>
{
    /// <summary>Numbers of keys below which a second thread costs more than it does.</summary>
    private const long NumbersPerThread = 200_000;

    private const string PlacesKey = "places", HeadsKey = "heads";

    public override string Name => nameof(TargetAttention);

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        (Tensor queries, Tensor keysAndValues) = ((Tensor)vars[0], (Tensor)vars[1]);
        ctx.save_for_backward([queries, keysAndValues]);
        ctx.save_data(PlacesKey, vars[2]);
        ctx.save_data(HeadsKey, vars[3]);
        Tensor output = zeros(queries.shape);
        new Pass(queries, keysAndValues, (long[])vars[2], (int)vars[3]) { Output = TensorMemory.Floats(output) }.Run();
        GC.KeepAlive(queries);
        GC.KeepAlive(keysAndValues);
        return output;
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        List<Tensor> saved = ctx.get_saved_variables();
        Tensor gradient = grad_output.contiguous(), queryGradient = zeros(saved[0].shape), keyAndValueGradient = zeros(saved[1].shape);
        new Pass(saved[0], saved[1], (long[])ctx.get_data(PlacesKey)!, (int)ctx.get_data(HeadsKey)!)
        {
            OutputGradient = TensorMemory.Floats(gradient),
            QueryGradient = TensorMemory.Floats(queryGradient),
            KeyAndValueGradient = TensorMemory.Floats(keyAndValueGradient),
        }.Run();
        GC.KeepAlive(gradient);
        GC.KeepAlive(saved);
        return [queryGradient, keyAndValueGradient, null!, null!];
    }

    /// <summary>One pass over all candidates, forward or backward.</summary>
    private sealed class Pass(Tensor queries, Tensor keysAndValues, long[] places, int heads)
    {
        private readonly float* _queries = TensorMemory.Floats(queries), _keysAndValues = TensorMemory.Floats(keysAndValues);
        private readonly int _candidates = (int)queries.shape[0], _d = (int)queries.shape[1], _headDimension = (int)queries.shape[1] / heads;
        private readonly int _columns = places.Length / Math.Max(1, (int)queries.shape[0]);
        private readonly float _scale = 1 / MathF.Sqrt((int)queries.shape[1] / heads);

        /// <summary>Written by the forward pass; null in the backward pass.</summary>
        public float* Output { get; init; }

        public float* OutputGradient { get; init; }
        public float* QueryGradient { get; init; }
        public float* KeyAndValueGradient { get; init; }

        public void Run()
        {
            int threads = Math.Min(heads, ThreadCount.For((long)places.Length * _d, NumbersPerThread));
            if (threads == 1)
                ComputeHeads(0, heads);
            else
                Parallel.For(0, threads, thread => ComputeHeads(heads * thread / threads, heads * (thread + 1) / threads));
        }

        private void ComputeHeads(int from, int to)
        {
            int padded = RoundUp(_columns, Lanes);
            float[] rented = ArrayPool<float>.Shared.Rent(2 * padded);
            fixed (float* weights = rented)
            {
                for (int candidate = 0; candidate < _candidates; candidate++)
                {
                    ReadOnlySpan<long> seen = places.AsSpan(candidate * _columns, _columns);
                    for (int head = from; head < to; head++)
                    {
                        int place = candidate * _d + head * _headDimension;
                        ComputeWeights(seen, _queries + place, head, weights, padded);
                        if (Output != null)
                            SumValues(seen, head, weights, Output + place);
                        else
                            Backward(seen, place, head, weights, weights + padded);
                    }
                }
            }
            ArrayPool<float>.Shared.Return(rented);
        }

        private float* KeyOf(float* tokens, long row, int head) => tokens + row * 2 * _d + head * _headDimension;

        private float* ValueOf(float* tokens, long row, int head) => KeyOf(tokens, row, head) + _d;

        /// <summary>The softmax of the logits and that of the zero token.</summary>
        private void ComputeWeights(ReadOnlySpan<long> seen, float* query, int head, float* weights, int padded)
        {
            for (int i = 0; i < padded; i++)
            {
                bool isThere = i < seen.Length && seen[i] >= 0;
                weights[i] = isThere ? _scale * Dot(query, KeyOf(_keysAndValues, seen[i], head), _headDimension) : float.NegativeInfinity;
            }
            float top = Largest(weights, padded, oneMore: 0), sum = Exponentiate(weights, padded, oneMore: 0, top);
            CopyScaled(weights, 1 / sum, weights, padded);
        }

        private void SumValues(ReadOnlySpan<long> seen, int head, float* weights, float* output)
        {
            for (int i = 0; i < seen.Length; i++)
            {
                if (seen[i] >= 0)
                    AddScaled(ValueOf(_keysAndValues, seen[i], head), weights[i], output, _headDimension);
            }
        }

        /// <summary>With weights p and gradient g of the output: dv = p·g, dp = g·v, and the gradient of a logit is p·(dp − Σ p·dp).</summary>
        private void Backward(ReadOnlySpan<long> seen, int place, int head, float* weights, float* weightGradients)
        {
            float* gradient = OutputGradient + place, query = _queries + place;
            float mean = 0;
            for (int i = 0; i < seen.Length; i++)
            {
                if (seen[i] < 0)
                    continue;
                weightGradients[i] = Dot(gradient, ValueOf(_keysAndValues, seen[i], head), _headDimension);
                mean += weights[i] * weightGradients[i];
                AddScaled(gradient, weights[i], ValueOf(KeyAndValueGradient, seen[i], head), _headDimension);
            }
            for (int i = 0; i < seen.Length; i++)
            {
                if (seen[i] < 0)
                    continue;
                float logitGradient = _scale * weights[i] * (weightGradients[i] - mean);
                AddScaled(KeyOf(_keysAndValues, seen[i], head), logitGradient, QueryGradient + place, _headDimension);
                AddScaled(query, logitGradient, KeyOf(KeyAndValueGradient, seen[i], head), _headDimension);
            }
        }
    }
}
