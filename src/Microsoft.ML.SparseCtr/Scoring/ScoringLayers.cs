using System.Numerics;
using static Microsoft.ML.SparseCtr.SmallMatrix;

namespace Microsoft.ML.SparseCtr;

/// <summary><see cref="RmsNorm"/>, from rows that end in zeros to the same.</summary>
internal sealed unsafe class ScoringNorm
{
    private readonly NativeBuffer<float> _weight;
    private readonly int _dimension;

    public ScoringNorm(WeightReader reader, int dimension)
    {
        _dimension = dimension;
        Weight weight = reader.Take("weight", dimension);
        _weight = new NativeBuffer<float>(RoundUp(dimension, Lanes));
        for (int i = 0; i < dimension; i++)
            _weight.Pointer[i] = weight.Values[i];
        GC.KeepAlive(weight);
    }

    /// <param name="x">[rows, d], each row filled with zeros up to a multiple of a vector, and so is y.</param>
    /// <param name="xStride">From a row of x to the next.</param>
    /// <param name="rows">How many.</param>
    /// <param name="y">[rows, d].</param>
    /// <param name="yStride">From a row of y to the next.</param>
    public void Apply(float* x, int xStride, int rows, float* y, int yStride)
    {
        float* weight = _weight.Pointer;
        for (int row = 0; row < rows; row++, x += xStride, y += yStride)
        {
            Vector<float> inverse = Vector.Create(InverseRootMeanSquare(x, _dimension, (float)RmsNorm.Epsilon));
            for (int i = 0; i < _dimension; i += Lanes)
                (Vector.Load(x + i) * inverse * Vector.Load(weight + i)).Store(y + i);
        }
        GC.KeepAlive(this);
    }
}

/// <summary><see cref="SwiGlu"/> of normalized rows, added to the rows.</summary>
internal sealed unsafe class ScoringFeedForward
{
    /// <summary>Rows at a time: what is between the products stays in the cache.</summary>
    private const int RowsPerBlock = 64;

    private readonly ScoringNorm _norm;
    private readonly LinearMap _gateAndUp, _down;
    private readonly int _width;

    public ScoringFeedForward(ScoringNorm norm, WeightReader reader, int dimension, int width)
    {
        (_norm, _width) = (norm, RoundUp(width, Lanes));
        _gateAndUp = new LinearMap((reader.In("gate").Take("weight", width, dimension), null, 0), (reader.In("up").Take("weight", width, dimension), null, _width));
        _down = new LinearMap(reader, "down", width, dimension);
    }

    /// <summary>x += SwiGLU(RMSNorm(x)).</summary>
    /// <param name="x">[rows, d].</param>
    /// <param name="stride">From a row to the next.</param>
    /// <param name="rows">How many.</param>
    /// <param name="scratch">Memory.</param>
    public void AddTo(float* x, int stride, int rows, Scratch scratch)
    {
        (int, long) taken = scratch.Taken;
        float* normed = scratch.TakeRows(RowsPerBlock, stride), inputs = scratch.TakeRows(RowsPerBlock, _gateAndUp.Stride);
        for (int first = 0; first < rows; first += RowsPerBlock)
        {
            int count = Math.Min(RowsPerBlock, rows - first);
            float* block = x + (long)first * stride;
            _norm.Apply(block, stride, count, normed, stride);
            _gateAndUp.Apply(normed, stride, count, inputs, _gateAndUp.Stride);
            float* gate = inputs;
            for (int row = 0; row < count; row++, gate += _gateAndUp.Stride)
            {
                for (int i = 0; i < _width; i += Lanes)
                {
                    Vector<float> a = Vector.Load(gate + i);
                    (a * Sigmoid(a) * Vector.Load(gate + _width + i)).Store(gate + i);
                }
            }
            _down.Apply(inputs, _gateAndUp.Stride, count, block, stride, adds: true);
        }
        scratch.Release(taken);
    }
}
