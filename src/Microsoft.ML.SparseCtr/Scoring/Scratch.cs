namespace Microsoft.ML.SparseCtr;

/// <summary>
/// Memory that one request is scored in: taken piece by piece, given back in the opposite order. Once it has grown to the largest request, nothing is
/// allocated any more.
/// </summary>
internal sealed unsafe class Scratch
{
    private const int CacheLine = 64, FirstBlock = 1 << 16;

    /// <summary>More than what most requests take: who has taken more gives it back at the end.</summary>
    private const long MostKept = 32 << 20;

    /// <summary>A matrix's rows are computed in blocks (<see cref="SmallMatrix.RowBlock"/>), from any row on: behind the last are so many more.</summary>
    private const int SpareRows = 2 * SmallMatrix.RowBlock;

    /// <summary>Blocks, each larger than the one before it: what did not fit one is in the next.</summary>
    private readonly List<NativeBuffer<byte>> _blocks = [new(FirstBlock)];

    /// <summary>The block that memory is taken of, and how much of it is taken.</summary>
    private int _block;
    private long _taken;

    /// <summary>How much is taken; <see cref="Release"/> gives back what was taken after it was asked.</summary>
    public (int Block, long Bytes) Taken => (_block, _taken);

    public void Release((int Block, long Bytes) taken) => (_block, _taken) = taken;

    /// <summary>Gives everything back. Blocks that were not enough make room for one that is, unless it were very large.</summary>
    public void Clear()
    {
        Release(default);
        if (_blocks.Count > 1)
        {
            long size = _blocks.Sum(block => block.Length);
            _blocks.Clear();
            _blocks.Add(new NativeBuffer<byte>(size <= MostKept ? size : FirstBlock));
        }
    }

    /// <summary>Memory for so many; what is in it is left from earlier use.</summary>
    public T* Take<T>(long count) where T : unmanaged
    {
        long bytes = (count * sizeof(T) + CacheLine - 1) / CacheLine * CacheLine;
        while (_taken + bytes > _blocks[_block].Length)
        {
            if (_block + 1 == _blocks.Count)
                _blocks.Add(new NativeBuffer<byte>(Math.Max(bytes, 2 * _blocks[_block].Length)));
            (_block, _taken) = (_block + 1, 0);
        }
        var start = (T*)(_blocks[_block].Pointer + _taken);
        _taken += bytes;
        return start;
    }

    /// <summary>A matrix of floats, and some spare rows behind it.</summary>
    public float* TakeRows(long rows, int stride) => Take<float>((rows + SpareRows) * stride);
}
