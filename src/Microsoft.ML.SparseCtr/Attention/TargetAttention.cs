using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// Multi-head attention of each candidate to behaviors of its own: softmax(q·k/√d_h)·v over them and the zero token, which has logit and value 0 and
/// makes it defined for who has no past.
/// </summary>
internal sealed class TargetAttention : nn.Module<Tensor, Tensor, Tensor, Tensor>
{
    private readonly Linear _query, _key, _value, _output;
    private readonly int _heads;

    public TargetAttention(int dimension, int heads) : base(nameof(TargetAttention))
    {
        _heads = heads;
        register_module("query", _query = nn.Linear(dimension, dimension, hasBias: false));
        register_module("key", _key = nn.Linear(dimension, dimension, hasBias: false));
        register_module("value", _value = nn.Linear(dimension, dimension, hasBias: false));
        register_module("output", _output = nn.Linear(dimension, dimension, hasBias: false));
    }

    /// <param name="candidates">[C, d].</param>
    /// <param name="tokens">[n, d].</param>
    /// <param name="places">[C, K] the tokens that each candidate attends to; negative for none.</param>
    /// <returns>[C, d].</returns>
    public override Tensor forward(Tensor candidates, Tensor tokens, Tensor places)
    {
        (long count, long seen, long d) = (places.shape[0], places.shape[1] + 1, candidates.shape[1]);
        // The zero token is the row behind the tokens, and stands wherever there is none.
        Tensor zeroPlace = full(new[] { count, 1 }, tokens.shape[0], int64, places.device), isNone = places.lt(0);
        Tensor rows = cat([zeroPlace, where(isNone, zeroPlace, places)], 1).reshape(count * seen);
        Tensor hidden = cat([zeros(count, 1, ScalarType.Bool, places.device), isNone], 1).reshape(count, 1, 1, seen).expand(-1, _heads, -1, -1);

        Tensor keysAndValues = cat([_key.forward(tokens), _value.forward(tokens)], 1);
        Tensor[] gathered = cat([keysAndValues, zeros(1, 2 * d, tokens.dtype, tokens.device)]).index_select(0, rows).chunk(2, 1);
        Tensor query = Heads(_query.forward(candidates), count, 1), key = Heads(gathered[0], count, seen), value = Heads(gathered[1], count, seen);
        Tensor logits = query.bmm(key.transpose(1, 2)) / Math.Sqrt(d / _heads);
        Tensor weights = logits.masked_fill(hidden.reshape(count * _heads, 1, seen), double.NegativeInfinity).softmax(-1);
        return _output.forward(weights.bmm(value).reshape(count, d));
    }

    /// <summary>[C·S, d] → [C·H, S, d_h].</summary>
    private Tensor Heads(Tensor packed, long count, long size)
    {
        long headDimension = packed.shape[1] / _heads;
        return packed.reshape(count, size, _heads, headDimension).transpose(1, 2).reshape(count * _heads, size, headDimension);
    }
}
