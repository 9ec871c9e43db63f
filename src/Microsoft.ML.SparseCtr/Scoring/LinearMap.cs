using static Microsoft.ML.SparseCtr.SmallMatrix;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// y = W·x + b of many rows x: one linear map of a network, or several of the same inputs whose outputs stand side by side. Of W, transposed, the columns lie
/// in panels of two vectors, each of which stays in the nearest cache while rows pass by.
/// </summary>
internal sealed unsafe class LinearMap
{
    /// <summary>Rows that pass by a panel before the next one is read: they stay in the cache too.</summary>
    private const int RowsPerBlock = 64;

    private readonly NativeBuffer<float> _panels, _bias;
    private readonly int _inputs;
    private readonly bool _hasBias;

    /// <param name="parts">
    /// The weights of each map, [outputs, inputs], its bias, [outputs] or null for none, and the column of y in which its outputs begin; columns between them are zero.
    /// </param>
    public LinearMap(params ReadOnlySpan<(Weight Weight, Weight? Bias, int Column)> parts)
    {
        _inputs = (int)parts[0].Weight.Shape[1];
        foreach ((Weight weight, _, int column) in parts)
            Stride = Math.Max(Stride, RoundUp(column + (int)weight.Shape[0], Lanes));
        _panels = new NativeBuffer<float>((long)_inputs * Stride);
        _bias = new NativeBuffer<float>(Stride);
        foreach ((Weight weight, Weight? bias, int column) in parts)
        {
            Pack(weight, column);
            _hasBias |= bias is not null;
            for (int i = 0; bias is not null && i < bias.Count; i++)
                _bias.Pointer[column + i] = bias.Values[i];
            GC.KeepAlive(bias);
        }
    }

    /// <param name="reader">Where the weights are.</param>
    /// <param name="name">The map's name.</param>
    /// <param name="inputs">Numbers in.</param>
    /// <param name="outputs">Numbers out.</param>
    /// <param name="hasBias">Whether it has a bias.</param>
    public LinearMap(WeightReader reader, string name, int inputs, int outputs, bool hasBias = false)
        : this((reader.In(name).Take("weight", outputs, inputs), hasBias ? reader.In(name).Take("bias", outputs) : null, 0))
    {
    }

    /// <summary>Columns of y: those of the outputs, and zeros up to a multiple of a vector.</summary>
    public int Stride { get; }

    private int PanelWidth => 2 * Lanes;

    /// <summary>Where a column begins.</summary>
    /// <param name="column">The column.</param>
    /// <param name="step">From one of its elements to the next: the columns of its panel.</param>
    private float* Column(int column, out int step)
    {
        int panel = column / PanelWidth;
        step = Math.Min(PanelWidth, Stride - panel * PanelWidth);
        return _panels.Pointer + (long)panel * PanelWidth * _inputs + column % PanelWidth;
    }

    private void Pack(Weight weight, int first)
    {
        for (int output = 0; output < weight.Shape[0]; output++)
        {
            float* start = Column(first + output, out int step);
            for (int input = 0; input < _inputs; input++)
                start[(long)input * step] = weight.Values[(long)output * _inputs + input];
        }
        GC.KeepAlive(weight);
    }

    /// <summary>
    /// y = W·x + b, of rows in blocks of <see cref="RowBlock"/>: of both matrices there must be memory up to the end of the last one, whose rows
    /// get something.
    /// </summary>
    /// <param name="x">[rows, inputs].</param>
    /// <param name="xStride">From a row of x to the next.</param>
    /// <param name="rows">How many.</param>
    /// <param name="y">[rows, outputs].</param>
    /// <param name="yStride">From a row of y to the next, at least <see cref="Stride"/>.</param>
    /// <param name="adds">Whether it is added to y, and does not take its place.</param>
    public void Apply(float* x, int xStride, int rows, float* y, int yStride, bool adds = false)
    {
        for (int first = 0; first < rows; first += RowsPerBlock)
        {
            int count = RoundUp(Math.Min(RowsPerBlock, rows - first), RowBlock);
            float* from = x + (long)first * xStride, to = y + (long)first * yStride;
            if (!adds || _hasBias)
                Begin(to, yStride, count, adds);
            for (int column = 0; column < Stride; column += PanelWidth)
            {
                float* panel = Column(column, out int width);
                MultiplyAdd(count, _inputs, width, from, xStride, 1, panel, width, to + column, yStride);
            }
        }
        GC.KeepAlive(this);
    }

    private void Begin(float* y, int yStride, int rows, bool adds)
    {
        for (int row = 0; row < rows; row++, y += yStride)
        {
            if (adds)
                AddScaled(_bias.Pointer, 1, y, Stride);
            else
                CopyScaled(_bias.Pointer, 1, y, Stride);
        }
    }
}
