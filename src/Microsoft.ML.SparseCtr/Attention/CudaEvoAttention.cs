using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// EvoAttention on a GPU, from queries, the gates' logits, keys and values to what the heads put out, and the gradients of that: what EvoAttention.cu computes, of
/// float32 or bfloat16 tensors.
/// </summary>
internal sealed class CudaEvoAttention
{
    private const int Branches = EvoAttentionLayout.Branches;

    private readonly CudaKernels _kernels;
    private readonly CudaProgram _program;
    private readonly Tile _tile;
    private readonly EvoAttentionPlan _plan;
    private readonly EvoAttentionTiles _tiles;
    private readonly bool _candidatesOnly;
    private readonly int _heads, _width;
    private readonly long _queries;
    private readonly Tensor _seen;
    private Parameters _parameters;

    // Kept alive until all kernels have been launched.
    private readonly List<Tensor> _used = [];

    /// <param name="kernels">The GPU's kernels.</param>
    /// <param name="plan">Who sees whom.</param>
    /// <param name="candidatesOnly">Whether the candidates are the only queries.</param>
    /// <param name="asked">[queries, d + 3·H] queries and the gates' logits.</param>
    /// <param name="seen">[tokens, 2·d] keys and values.</param>
    /// <param name="coefficients">[H, 3] RelTemporal's −a, b and c, float32.</param>
    public CudaEvoAttention(CudaKernels kernels, EvoAttentionPlan plan, bool candidatesOnly, Tensor asked, Tensor seen, Tensor coefficients)
    {
        (_kernels, _plan, _candidatesOnly, _queries, _seen) = (kernels, plan, candidatesOnly, asked.shape[0], seen);
        _width = (int)seen.shape[1];
        _heads = (int)coefficients.shape[0];
        _tile = Tile.For(_width / (2 * _heads), kernels.SharedBytesOfBlock) ?? throw new ArgumentException("Heads are too large for a tile.", nameof(seen));
        _program = ProgramFor(_heads, _tile, asked.dtype);
        _tiles = plan.TilesFor(seen);

        nint moments = DeviceMemory.AddressOf(_tiles.Moments), momentBytes = plan.TokenCount * sizeof(float);
        _parameters = new Parameters
        {
            Queries = _tiles.AddressOf(EvoAttentionTiles.List.Queries),
            Chunks = _tiles.AddressOf(EvoAttentionTiles.List.Chunks),
            Added = _tiles.AddressOf(EvoAttentionTiles.List.Added),
            RequestChunks = _tiles.AddressOf(EvoAttentionTiles.List.RequestChunks),
            FirstTransition = _tiles.AddressOf(EvoAttentionTiles.List.FirstTransition),
            TransitionToken = _tiles.AddressOf(EvoAttentionTiles.List.TransitionToken),
            FirstUse = _tiles.AddressOf(EvoAttentionTiles.List.FirstUse),
            Uses = _tiles.AddressOf(EvoAttentionTiles.List.Uses),
            QueryTiles = _tiles.AddressOf(EvoAttentionTiles.List.QueryTiles) + (candidatesOnly ? _tiles.BehaviorTileCount * Marshal.SizeOf<Interval>() : 0),
            KeyTiles = _tiles.AddressOf(EvoAttentionTiles.List.KeyTiles),
            Seconds = DeviceMemory.AddressOf(_tiles.Seconds),
            Cosine = moments,
            Sine = moments + momentBytes,
            Weekend = moments + 2 * momentBytes,
            Behaviors = plan.BehaviorCount,
            ChunkCount = _tiles.ChunkCount,
            TransitionCount = _tiles.TransitionCount,
            Splits = _tiles.Splits,
            FirstQuery = candidatesOnly ? plan.BehaviorCount : 0,
            Branches = (int)plan.Options.Shape.Branches,
            InverseTimeScale = (float)(1 / plan.Options.TimeScaleSeconds),
            Coefficients = Use(coefficients),
            Asked = Use(asked),
            Seen = Use(seen),
        };
    }

    /// <summary>Whether there are kernels for tokens, by where they are and what type they have, with heads of such a dimension.</summary>
    public static bool Supports(Tensor tokens, int headDimension)
        => CudaNumber.KernelsFor(tokens) is { } kernels && Tile.For(headDimension, kernels.SharedBytesOfBlock) is not null;

    /// <summary>The program for so many heads, whose tiles are such, and for numbers of a type.</summary>
    public static CudaProgram ProgramFor(int heads, Tile tile, ScalarType type) => new("EvoAttention.cu", Tile.Threads,
        ("HEADS", heads), ("HEAD_DIMENSION", tile.HeadDimension), ("ROWS", tile.ThreadRows), ("COLUMNS", tile.ThreadColumns), ("Number", CudaNumber.NameOf(type)));

    /// <summary>What a block computes at a time: some rows, and some columns of each.</summary>
    /// <param name="HeadDimension">d_h.</param>
    /// <param name="ThreadRows">Rows of which each thread computes a part.</param>
    /// <param name="ThreadColumns">Columns that it computes of each.</param>
    public readonly record struct Tile(int HeadDimension, int ThreadRows, int ThreadColumns)
    {
        public const int Threads = 128;
        private const int Lanes = 8;

        /// <summary>Shared memory that a kernel declares itself, at most.</summary>
        private const int DeclaredBytes = 4096;

        // For heads of up to so many dimensions: as much as a thread's registers hold the sums of.
        private static readonly (int LargestHeadDimension, int ThreadRows, int ThreadColumns)[] s_sizes = [(64, 4, 4), (128, 2, 4), (256, 1, 2)];

        /// <summary>Queries, or keys.</summary>
        public int Rows => Threads / Lanes * ThreadRows;

        private int Columns => Lanes * ThreadColumns;

        /// <summary>The largest tile for heads of a dimension whose kernels all do with so many bytes of shared memory for a block; null where none does.</summary>
        public static Tile? For(int headDimension, int sharedBytes) => s_sizes
            .Where(size => headDimension <= size.LargestHeadDimension).Select(size => (Tile?)new Tile(headDimension, size.ThreadRows, size.ThreadColumns))
            .FirstOrDefault(tile => tile!.Value.SharedBytes(2, 2, 2) + DeclaredBytes <= sharedBytes);

        /// <summary>The bytes of matrices of rows, of columns and of weights between them, as EvoAttention.cu takes them.</summary>
        public int SharedBytes(int ofRows, int ofColumns, int ofWeights)
        {
            int stride = (HeadDimension + 7) / 8 * 8 + 4, weightStride = Columns + 8;
            return sizeof(float) * ((ofRows * Rows + ofColumns * Columns) * stride + ofWeights * Rows * weightStride);
        }
    }

    /// <summary>Computes what the heads put out.</summary>
    /// <param name="output">[queries, d] receives it.</param>
    /// <returns>What the backward pass needs to know.</returns>
    public Statistics Forward(Tensor output)
    {
        Tensor chunkMeans = empty(new long[] { _tiles.ChunkCount, _width }, _seen.dtype, _seen.device);
        Tensor chunkSums = empty(new long[] { _tiles.ChunkCount, _width }, float32, _seen.device);
        // The backward pass subtracts nearly equal numbers by these: rounded, they were 5% off in the coefficients' gradients.
        Tensor branchOutputs = empty(new long[] { _queries, Branches, _width / 2 }, float32, _seen.device);
        Tensor logSums = empty(new[] { _queries, _heads, Branches }, float32, _seen.device);
        (_parameters.ChunkMeans, _parameters.ChunkSums) = (Use(chunkMeans), Use(chunkSums));
        (_parameters.BranchOutputs, _parameters.LogSums, _parameters.Output) = (Use(branchOutputs), Use(logSums), Use(output));
        const int columnsOfSums = 32;
        Launch("sum_added", (_tiles.ChunkCount, Parts(columnsOfSums), 1));
        Launch("finish_means", (_plan.Requests.Length, Parts(Tile.Threads), 1));
        Launch("attend", (QueryTiles, _heads, 1), _tile.SharedBytes(ofRows: 1, ofColumns: 2, ofWeights: 1));
        GC.KeepAlive(_used);
        return new(chunkMeans, branchOutputs, logSums);
    }

    /// <summary>Computes the gradients.</summary>
    /// <param name="statistics">What <see cref="Forward"/> returned.</param>
    /// <param name="outputGradient">[queries, d].</param>
    /// <param name="askedGradient">[queries, d + 3·H] receives those of queries and the gates' logits.</param>
    /// <param name="seenGradient">[tokens, 2·d] receives those of keys and values.</param>
    /// <returns>[H, 3] those of the coefficients.</returns>
    public Tensor Backward(Statistics statistics, Tensor outputGradient, Tensor askedGradient, Tensor seenGradient)
    {
        Device device = seenGradient.device;
        Tensor coefficientGradients = empty(new long[] { QueryTiles, _heads, Branches }, float32, device);
        Tensor gateGradients = empty(new[] { _queries, _heads, Branches }, float32, device);
        Tensor tokenGradients = empty(new long[] { _plan.TokenCount, _width }, float32, device);
        Tensor columnGradients = empty(new long[] { _tiles.Splits, _tiles.ChunkCount + _tiles.TransitionCount, _width }, float32, device);
        (_parameters.ChunkMeans, _parameters.BranchOutputs) = (Use(statistics.ChunkMeans), Use(statistics.BranchOutputs));
        _parameters.LogSums = Use(statistics.LogSums);
        (_parameters.OutputGradient, _parameters.AskedGradient) = (Use(outputGradient), Use(askedGradient));
        (_parameters.CoefficientGradients, _parameters.GateGradients) = (Use(coefficientGradients), Use(gateGradients));
        (_parameters.TokenGradients, _parameters.ColumnGradients) = (Use(tokenGradients), Use(columnGradients));
        _parameters.SeenGradient = Use(seenGradient);
        Launch("differentiate_queries", (QueryTiles, _heads, 1), _tile.SharedBytes(ofRows: 2, ofColumns: 2, ofWeights: 1));
        Launch("differentiate_keys", (_tiles.KeyTileCount, _heads, 1), _tile.SharedBytes(ofRows: 2, ofColumns: 2, ofWeights: 2));
        Launch("spread_chunks", (_plan.Requests.Length, Parts(Tile.Threads), 1));
        Launch("collect_gradients", (_plan.TokenCount, Parts(Tile.Threads), 1));
        GC.KeepAlive(_used);
        return coefficientGradients.sum([0]);
    }

    /// <summary>What the forward pass leaves for the backward pass.</summary>
    /// <param name="ChunkMeans">[chunks, 2·d].</param>
    /// <param name="BranchOutputs">[queries, 3, d].</param>
    /// <param name="LogSums">[queries, H, 3].</param>
    public readonly record struct Statistics(Tensor ChunkMeans, Tensor BranchOutputs, Tensor LogSums);

    private int QueryTiles => _tiles.QueryTileCount - (_candidatesOnly ? _tiles.BehaviorTileCount : 0);

    /// <summary>Blocks among which the numbers of a row of keys and values are shared.</summary>
    private int Parts(int numbersPerBlock) => (_width + numbersPerBlock - 1) / numbersPerBlock;

    private nint Use(Tensor tensor)
    {
        _used.Add(tensor);
        return DeviceMemory.AddressOf(tensor);
    }

    private void Launch(string kernel, (int, int, int) grid, int sharedBytes = 0) => _kernels.Launch(_program, kernel, grid, _parameters, sharedBytes);

    /// <summary>Attention, as EvoAttention.cu declares it.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Parameters
    {
        public nint Queries, Chunks, Added, RequestChunks, FirstTransition, TransitionToken, Seconds, Cosine, Sine, Weekend, FirstUse, Uses, QueryTiles, KeyTiles;
        public int Behaviors, ChunkCount, TransitionCount, Splits, FirstQuery, Branches;
        public float InverseTimeScale;
        public nint Coefficients, Asked, Seen, ChunkSums, ChunkMeans, BranchOutputs, Output, LogSums;
        public nint OutputGradient, AskedGradient, SeenGradient, CoefficientGradients, GateGradients, TokenGradients, ColumnGradients;
    }
}

/// <summary>
/// <see cref="CudaEvoAttention"/> as a differentiable function of the tokens [tokens, d], float32 or bfloat16, in whose type it computes, and, float32, of the weights of
/// query, key, value [d, d] and gate [3·H, d], the gate's bias [3·H], and RelTemporal's coefficients [H, 3]; further of the plan, and of whether the candidates are the only queries.
/// </summary>
internal sealed class CudaEvoAttentionFunction : FusedFunction<CudaEvoAttentionFunction>
{
    private const string PlanKey = "plan", CandidatesOnlyKey = "candidatesOnly";

    public override string Name => nameof(CudaEvoAttention);

    protected override Tensor Compute(autograd.AutogradContext ctx, object[] vars)
    {
        (EvoAttentionPlan plan, bool candidatesOnly) = ((EvoAttentionPlan)vars[7], (bool)vars[8]);
        Tensor x = (Tensor)vars[0], gateBias = (Tensor)vars[5], coefficients = (Tensor)vars[6];
        Tensor queryAndGate = cat([(Tensor)vars[1], (Tensor)vars[4]], 0).to(x.dtype), keyAndValue = cat([(Tensor)vars[2], (Tensor)vars[3]], 0).to(x.dtype);
        Tensor asked = plan.Asking(x, candidatesOnly).mm(queryAndGate.t()), seen = x.mm(keyAndValue.t());
        asked.narrow(1, x.shape[1], gateBias.shape[0]).add_(gateBias);
        Tensor output = empty(new[] { asked.shape[0], x.shape[1] }, x.dtype, x.device);
        CudaEvoAttention.Statistics statistics = new CudaEvoAttention(CudaKernels.Of(x)!, plan, candidatesOnly, asked, seen, coefficients).Forward(output);
        ctx.save_for_backward([x, queryAndGate, keyAndValue, coefficients, asked, seen, statistics.ChunkMeans, statistics.BranchOutputs, statistics.LogSums]);
        ctx.save_data(PlanKey, plan);
        ctx.save_data(CandidatesOnlyKey, candidatesOnly);
        return output;
    }

    protected override List<Tensor> Differentiate(autograd.AutogradContext ctx, Tensor gradient)
    {
        List<Tensor> saved = ctx.get_saved_variables();
        (Tensor x, Tensor queryAndGate, Tensor keyAndValue, Tensor coefficients) = (saved[0], saved[1], saved[2], saved[3]);
        (Tensor asked, Tensor seen, var statistics) = (saved[4], saved[5], new CudaEvoAttention.Statistics(saved[6], saved[7], saved[8]));
        (EvoAttentionPlan plan, bool candidatesOnly) = ((EvoAttentionPlan)ctx.get_data(PlanKey)!, (bool)ctx.get_data(CandidatesOnlyKey)!);
        (Tensor askedGradient, Tensor seenGradient) = (empty_like(asked), empty_like(seen));
        Tensor coefficientGradient = new CudaEvoAttention(CudaKernels.Of(x)!, plan, candidatesOnly, asked, seen, coefficients)
            .Backward(statistics, Aligned(gradient.contiguous()), askedGradient, seenGradient);

        Tensor tokenGradient = seenGradient.mm(keyAndValue);
        plan.Asking(tokenGradient, candidatesOnly).addmm_(askedGradient, queryAndGate);
        return EvoAttentionFunction.Gradients(tokenGradient, askedGradient, plan.Asking(x, candidatesOnly), seenGradient, x, coefficientGradient);
    }

    /// <summary>A copy where it is a part of a tensor that does not begin where kernels can read four numbers at once.</summary>
    private static Tensor Aligned(Tensor tensor) => DeviceMemory.AddressOf(tensor) % (4 * sizeof(float)) == 0 ? tensor : tensor.clone();
}
