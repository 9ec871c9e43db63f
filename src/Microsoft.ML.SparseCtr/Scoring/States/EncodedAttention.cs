using static Microsoft.ML.SparseCtr.SmallMatrix;

namespace Microsoft.ML.SparseCtr;

/// <summary>An encoded history as queries see it, by their times: one row for consecutive ones of the same time.</summary>
/// <param name="history">The history.</param>
/// <param name="memory">For each row, <see cref="TemporalPairs"/> of all columns.</param>
/// <param name="rowOf">The row of each query.</param>
internal readonly unsafe struct SeenHistory(HistoryEncoding history, float* memory, int* rowOf)
{
    private const int Features = 4;

    public HistoryEncoding History => history;

    public int Width => history.Width;

    /// <summary>Numbers in the memory of so many rows.</summary>
    public static long SizeOf(HistoryEncoding history, int rows) => (long)rows * Features * history.Width;

    public TemporalPairs Row(int row)
    {
        float* start = memory + SizeOf(history, row);
        return new(start, start + Width, start + 2 * Width, start + 3 * Width);
    }

    public int RowOf(int query) => rowOf[query];
}

/// <summary>What one query attends to in one block, written while it is computed.</summary>
internal sealed class AttentionRecord(int heads, int width)
{
    /// <summary>[H, columns] the probabilities of each branch's columns.</summary>
    public float[,] Weights { get; } = new float[heads, width];

    /// <summary>[H] the probability of the query itself, in the local branch.</summary>
    public float[] Selves { get; } = new float[heads];

    /// <summary>[3, H] how far each branch is open.</summary>
    public float[,] Gates { get; } = new float[EvoAttentionLayout.Branches, heads];
}

/// <summary>
/// EvoAttention of queries to a history that is encoded, and of each to itself: what <see cref="RequestAttention"/> computes of a whole request, with no more to gather.
/// </summary>
internal unsafe ref struct EncodedAttention
{
    private const int TileSize = 8, Branches = EvoAttentionLayout.Branches, Local = Branches - 1;

    public required SeenHistory Seen { get; init; }
    public required int Block { get; init; }
    public required int Heads { get; init; }
    public required int HeadDimension { get; init; }

    /// <summary>[queries, d + 3·H] the queries, and behind each its gates [3, H], between 0 and 1.</summary>
    public required float* QueriesAndGates { get; init; }
    public required int QueryStride { get; init; }

    /// <summary>[queries, 2·d] the keys and values that the queries have themselves.</summary>
    public required float* KeysAndValues { get; init; }
    public required int KeyStride { get; init; }

    /// <summary>[H, 3] RelTemporal's −a, b and c.</summary>
    public required float* Coefficients { get; init; }

    /// <summary>[queries, d].</summary>
    public required float* Output { get; init; }
    public required int OutputStride { get; init; }

    /// <summary>Where it is recorded what the first query attends to; null where no one asks.</summary>
    public AttentionRecord? Record { get; init; }

    private readonly HistoryEncoding History => Seen.History;

    private readonly int Dimension => Heads * HeadDimension;

    public readonly void Run(int queries, Scratch scratch)
    {
        (int, long) taken = scratch.Taken;
        int padded = RoundUp(HeadDimension, Lanes);
        float* query = scratch.Take<float>(TileSize * padded), output = scratch.Take<float>(TileSize * padded);
        float* logits = scratch.Take<float>((long)TileSize * Seen.Width);
        new Span<float>(query, TileSize * padded).Clear();
        new Span<float>(logits, TileSize * Seen.Width).Clear();
        for (int first = 0; first < queries; first += TileSize)
        {
            for (int head = 0; head < Heads; head++)
                Compute(new(first, Math.Min(first + TileSize, queries)), head, padded, query, logits, output);
        }
        scratch.Release(taken);
    }

    private readonly void Compute(Interval queries, int head, int padded, float* query, float* logits, float* output)
    {
        int width = Seen.Width, rows = RoundUp(queries.Count, RowBlock);
        float* coefficients = Coefficients + head * 3;
        float* selves = stackalloc float[TileSize];
        for (int row = 0; row < queries.Count; row++)
        {
            int number = queries.From + row;
            float* from = QueriesAndGates + (long)number * QueryStride + head * HeadDimension, to = query + row * padded;
            CopyScaled(from, 1 / MathF.Sqrt(HeadDimension), to, HeadDimension);
            float* key = KeysAndValues + (long)number * KeyStride + head * HeadDimension;
            // Of no time ago, at the same hour of the same day.
            float self = coefficients[1] + coefficients[2];
            for (int i = 0; i < HeadDimension; i++)
                self += to[i] * key[i];
            selves[row] = self;
            // Queries of one time have one bias.
            float* bias = logits + (long)row * width;
            if (row > 0 && Seen.RowOf(number) == Seen.RowOf(number - 1))
                new ReadOnlySpan<float>(bias - width, width).CopyTo(new Span<float>(bias, width));
            else
                Seen.Row(Seen.RowOf(number)).WriteBias(coefficients, bias, width);
        }
        for (int branch = 0, column = 0; branch < Branches; column += History.WidthOf(branch++))
        {
            KeyColumns columns = History.ColumnsOf(Block, branch);
            fixed (float* keys = columns.KeysOf(head))
                MultiplyAdd(rows, HeadDimension, History.WidthOf(branch), query, padded, 1, keys, columns.Capacity, logits + column, width);
        }
        for (int row = 0; row < queries.Count; row++)
        {
            float* gates = QueriesAndGates + (long)(queries.From + row) * QueryStride + Dimension + head;
            for (int branch = 0, column = 0; branch < Branches; column += History.WidthOf(branch++))
            {
                float* logit = logits + (long)row * width + column;
                // Beside the columns there is the query itself, in the local branch, and the zero token in the others.
                float oneMore = branch == Local ? selves[row] : 0;
                float top = Largest(logit, History.WidthOf(branch), oneMore);
                float gate = gates[branch * Heads], inverseSum = 1 / Exponentiate(logit, History.WidthOf(branch), oneMore, top);
                float self = inverseSum * MathF.Exp(oneMore - top);
                if (Record is not null && queries.From + row == 0)
                    Write(Record, head, branch, column, logit, inverseSum, self, gate);
                CopyScaled(logit, gate * inverseSum, logit, History.WidthOf(branch));
                if (branch == Local)
                    selves[row] = gate * self;
            }
        }
        new Span<float>(output, rows * padded).Clear();
        for (int branch = 0, column = 0; branch < Branches; column += History.WidthOf(branch++))
        {
            KeyColumns columns = History.ColumnsOf(Block, branch);
            fixed (float* values = columns.ValuesOf(head))
                MultiplyAdd(rows, History.WidthOf(branch), padded, logits + column, width, 1, values, padded, output, padded);
        }
        for (int row = 0; row < queries.Count; row++)
        {
            long number = queries.From + row;
            float* value = KeysAndValues + number * KeyStride + Dimension + head * HeadDimension, to = Output + number * OutputStride + head * HeadDimension;
            CopyScaled(output + row * padded, 1, to, HeadDimension);
            AddScaled(value, selves[row], to, HeadDimension);
        }
    }

    private readonly void Write(AttentionRecord record, int head, int branch, int first, float* exponentials, float inverseSum, float self, float gate)
    {
        for (int i = 0; i < History.WidthOf(branch); i++)
            record.Weights[head, first + i] = exponentials[i] * inverseSum;
        record.Gates[branch, head] = gate;
        if (branch == Local)
            record.Selves[head] = self;
    }
}
