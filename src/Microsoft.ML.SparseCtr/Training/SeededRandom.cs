namespace Microsoft.ML.SparseCtr;

/// <summary>
/// Draws the numbers of <c>new Random(seed)</c>, whose state it can also save. That is Knuth's subtractive generator, whose numbers are
/// xₙ = xₙ₋₅₅ − xₙ₋₃₄ modulo 2³¹ − 1: its state are any 55 that follow each other.
/// </summary>
internal sealed class SeededRandom : Random
{
    private const int Length = 55, Lag = Length - 34;

    /// <summary>The next numbers, from a place on and around.</summary>
    private readonly int[] _next = new int[Length];

    private int _place;

    public SeededRandom(int seed)
    {
        var random = new Random(seed);
        for (int i = 0; i < Length; i++)
            _next[i] = random.Next();
    }

    /// <summary>Goes on where another one was.</summary>
    public SeededRandom(int[] state) => State = state;

    /// <summary>The numbers that come next.</summary>
    public int[] State
    {
        get => [.. _next[_place..], .. _next[.._place]];
        set
        {
            value.CopyTo(_next, 0);
            _place = 0;
        }
    }

    public override int Next()
    {
        int drawn = _next[_place], later = drawn - _next[(_place + Lag) % Length];
        _next[_place] = later < 0 ? later + int.MaxValue : later;
        _place = (_place + 1) % Length;
        return drawn;
    }

    // What Random does of itself, it does by Sample, but for the following.
    protected override double Sample() => Next() * (1.0 / int.MaxValue);

    public override int Next(int minValue, int maxValue)
    {
        long range = (long)maxValue - minValue;
        if (range <= int.MaxValue)
            return base.Next(minValue, maxValue);
        int drawn = Next();
        bool isNegative = Next() % 2 == 0;
        double sample = ((isNegative ? -drawn : drawn) + (double)(int.MaxValue - 1)) / (2u * (uint)int.MaxValue - 1);
        return (int)((long)(sample * range) + minValue);
    }

    public override void NextBytes(byte[] buffer) => NextBytes(buffer.AsSpan());

    public override void NextBytes(Span<byte> buffer)
    {
        foreach (ref byte one in buffer)
            one = (byte)Next();
    }
}
