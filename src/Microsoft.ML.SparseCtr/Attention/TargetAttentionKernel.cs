using System.Buffers;
using static Microsoft.ML.SparseCtr.SmallMatrix;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// <see cref="TargetAttention"/> of candidates from queries, keys and values to what the heads put out, and the gradients of that: what is computed, and its memory. Keys and
/// values are read where they are.
/// </summary>
/// <param name="candidates">C.</param>
/// <param name="columns">K, the behaviors that a candidate attends to, at most.</param>
/// <param name="heads">H.</param>
/// <param name="headDimension">Floats per head.</param>
internal readonly unsafe struct TargetAttentionKernel(int candidates, int columns, int heads, int headDimension)
{
    private readonly float _scale = 1 / MathF.Sqrt(headDimension);

    /// <summary>[C, d].</summary>
    public required float* Queries { get; init; }

    /// <summary>From a query to the next, and from an output to the next.</summary>
    public required int QueryStride { get; init; }

    /// <summary>[n, 2d] keys, and behind each its value.</summary>
    public required float* KeysAndValues { get; init; }

    /// <summary>From a key to the next.</summary>
    public required int KeyStride { get; init; }

    /// <summary>[C, K] the tokens that each candidate attends to; negative for none.</summary>
    public required long* Places { get; init; }

    /// <summary>[C, d], zeros to which the forward pass adds; null in the backward pass.</summary>
    public float* Output { get; init; }

    public float* OutputGradient { get; init; }
    public float* QueryGradient { get; init; }
    public float* KeyAndValueGradient { get; init; }

    /// <summary>Computes some heads.</summary>
    public void Compute(int from, int to)
    {
        int padded = RoundUp(columns, Lanes);
        float[] rented = ArrayPool<float>.Shared.Rent(2 * padded);
        fixed (float* weights = rented)
        {
            for (int candidate = 0; candidate < candidates; candidate++)
            {
                ReadOnlySpan<long> seen = new(Places + (long)candidate * columns, columns);
                for (int head = from; head < to; head++)
                {
                    nint place = (nint)candidate * QueryStride + head * headDimension;
                    ComputeWeights(seen, Queries + place, head, weights, padded);
                    if (Output != null)
                        SumValues(seen, head, weights, Output + place);
                    else
                        Backward(seen, place, head, weights, weights + padded);
                }
            }
        }
        ArrayPool<float>.Shared.Return(rented);
    }

    private float* KeyOf(float* tokens, long row, int head) => tokens + row * KeyStride + head * headDimension;

    private float* ValueOf(float* tokens, long row, int head) => KeyOf(tokens, row, head) + heads * headDimension;

    /// <summary>The softmax of the logits and that of the zero token.</summary>
    private void ComputeWeights(ReadOnlySpan<long> seen, float* query, int head, float* weights, int padded)
    {
        for (int i = 0; i < padded; i++)
        {
            bool isThere = i < seen.Length && seen[i] >= 0;
            weights[i] = isThere ? _scale * Dot(query, KeyOf(KeysAndValues, seen[i], head), headDimension) : float.NegativeInfinity;
        }
        float top = Largest(weights, padded, oneMore: 0), sum = Exponentiate(weights, padded, oneMore: 0, top);
        CopyScaled(weights, 1 / sum, weights, padded);
    }

    private void SumValues(ReadOnlySpan<long> seen, int head, float* weights, float* output)
    {
        for (int i = 0; i < seen.Length; i++)
        {
            if (seen[i] >= 0)
                AddScaled(ValueOf(KeysAndValues, seen[i], head), weights[i], output, headDimension);
        }
    }

    /// <summary>With weights p and gradient g of the output: dv = p·g, dp = g·v, and the gradient of a logit is p·(dp − Σ p·dp).</summary>
    private void Backward(ReadOnlySpan<long> seen, nint place, int head, float* weights, float* weightGradients)
    {
        float* gradient = OutputGradient + place, query = Queries + place;
        float mean = 0;
        for (int i = 0; i < seen.Length; i++)
        {
            if (seen[i] < 0)
                continue;
            weightGradients[i] = Dot(gradient, ValueOf(KeysAndValues, seen[i], head), headDimension);
            mean += weights[i] * weightGradients[i];
            AddScaled(gradient, weights[i], ValueOf(KeyAndValueGradient, seen[i], head), headDimension);
        }
        for (int i = 0; i < seen.Length; i++)
        {
            if (seen[i] < 0)
                continue;
            float logitGradient = _scale * weights[i] * (weightGradients[i] - mean);
            AddScaled(KeyOf(KeysAndValues, seen[i], head), logitGradient, QueryGradient + place, headDimension);
            AddScaled(query, logitGradient, KeyOf(KeyAndValueGradient, seen[i], head), headDimension);
        }
    }
}
