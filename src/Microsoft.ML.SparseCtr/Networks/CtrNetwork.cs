using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// A network that scores the candidates of a packed batch (docs/model.md). All have in common that fields are embedded, that the embeddings of a behavior or
/// candidate make a token, and that an MLP scores what the network made of each candidate, beside the user's features and the numeric features.
/// What a network makes of tokens is its own.
/// </summary>
internal abstract class CtrNetwork : nn.Module<PackedBatch, Tensor>
{
    private const string TablesName = "_tables";

    private readonly ModuleList<IdEmbedding> _sequenceTables, _candidateTables, _userTables;
    private readonly Linear _token;
    private readonly Linear? _candidateToken;
    private readonly FusedDropout _tokenDropout;
    private Linear? _hidden, _logit;

    protected CtrNetwork(CtrConfig config, string name) : base(name)
    {
        Config = config;
        int d = config.Options.ModelDimension, e = config.Options.EmbeddingDimension;
        int candidateInputs = config.CandidateFields.Length * e + config.NumericDimension;

        register_module("sequence" + TablesName, _sequenceTables = TablesOf(config.SequenceFields, e));
        register_module("candidate" + TablesName, _candidateTables = TablesOf(config.CandidateFields, e));
        register_module("user" + TablesName, _userTables = TablesOf(config.UserFields, e));
        register_module("token", _token = nn.Linear(config.SequenceFields.Length * e, d));
        if (candidateInputs > 0)
            register_module("candidate_token", _candidateToken = nn.Linear(candidateInputs, d, hasBias: false));
        register_module("token_dropout", _tokenDropout = new FusedDropout(config.Options.TokenDropout));
        register_module("dropout", Dropout = new FusedDropout(config.Options.Dropout));
    }

    public CtrConfig Config { get; }

    /// <summary>Drops activations while training.</summary>
    protected FusedDropout Dropout { get; }

    /// <summary>The last step of a constructor: adds the MLP that scores states of such a dimension, and draws the first weights of all linear maps.</summary>
    protected void AddHead(int stateDimension)
    {
        int inputs = stateDimension + Config.UserFields.Length * Config.Options.EmbeddingDimension + Config.NumericDimension;
        register_module("hidden", _hidden = nn.Linear(inputs, Config.Options.HeadDimension));
        register_module("logit", _logit = nn.Linear(Config.Options.HeadDimension, 1));
        DrawFirstWeights();
    }

    /// <summary>
    /// Linear maps are Xavier-uniform, but for what attention changes; and so that it need not first find out which behaviors are like a candidate, what candidates
    /// alone have starts without weight, and does not cover what they have in common with behaviors.
    /// </summary>
    private void DrawFirstWeights()
    {
        using IDisposable noGradient = no_grad();
        // A module is there once by its name, and once more for a field that holds it.
        nn.Module[] all = modules().Distinct().ToArray();
        foreach (Linear linear in all.OfType<Linear>())
        {
            nn.init.xavier_uniform_(linear.weight);
            if (linear.bias is not null)
                nn.init.zeros_(linear.bias);
        }
        foreach (IAttention attention in all.OfType<IAttention>())
            attention.PrepareFirstWeights();
        if (_candidateToken is not null)
            nn.init.zeros_(_candidateToken.weight);
    }

    /// <summary>Whether a parameter, by its name, is that of an embedding table.</summary>
    public static bool IsOfTable(string parameterName) => parameterName.Contains(TablesName + ".", StringComparison.Ordinal);

    /// <summary>What embeds each field, in the order of <see cref="CtrConfig.AllFields"/>.</summary>
    public IEnumerable<IdEmbedding> Tables => _sequenceTables.Concat(_candidateTables).Concat(_userTables);

    /// <summary>What embeds each field of a token.</summary>
    protected IEnumerable<IdEmbedding> SequenceTables => _sequenceTables;

    /// <summary>What the network has to know of requests before it gets them packed; asked on another thread.</summary>
    public virtual BatchPlan Plan(IReadOnlyList<Request> requests) => new(requests);

    /// <summary>A copy of the weights, in an order that is the same for all networks of one configuration.</summary>
    public unsafe Weights CopyWeights()
    {
        using IDisposable noGradient = no_grad();
        // state_dict would name a weight once more for every field that holds its module.
        return new Weights(named_parameters().Select(named =>
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor values = named.Item2.to(float32).cpu().contiguous();
            var weight = new Weight(named.Item1, values.shape);
            long bytes = weight.Count * sizeof(float);
            Buffer.MemoryCopy(TensorMemory.Floats(values), weight.Values, bytes, bytes);
            return weight;
        }));
    }

    /// <summary>The logit of each candidate of the batch: [candidates].</summary>
    public override Tensor forward(PackedBatch batch)
    {
        Tensor state = cat([States(batch), .. Pooled(_userTables, batch.UserKeys), batch.Numbers], 1);
        return _logit!.forward(Dropout.forward(_hidden!.forward(state).silu())).squeeze(1);
    }

    /// <summary>What the network makes of each candidate: [candidates, state dimension].</summary>
    protected abstract Tensor States(PackedBatch batch);

    /// <summary>Tokens: [n + candidates, d] of n behaviors, and then of all candidates.</summary>
    /// <param name="batch">The batch.</param>
    /// <param name="behaviors">[n] the behaviors that are wanted; null for all.</param>
    protected Tensor Tokens(PackedBatch batch, Tensor? behaviors = null)
    {
        long behaviorCount = behaviors?.shape[0] ?? batch.Plan.BehaviorCount;
        IEnumerable<Tensor> fields = _sequenceTables.Select((table, i) => table.forward(behaviors is null ? batch.SequenceKeys[i]
            : cat([batch.SequenceKeys[i].index_select(0, behaviors), batch.SequenceKeys[i].narrow(0, batch.Plan.BehaviorCount, batch.Plan.CandidateCount)])));
        Tensor x = _token.forward(cat(fields.ToArray(), 1));
        if (_candidateToken is not null)
        {
            Tensor inputs = cat([.. Pooled(_candidateTables, batch.CandidateKeys), batch.Numbers], 1);
            Tensor none = zeros(behaviorCount, x.shape[1], x.dtype, x.device);
            x = x + cat([none, _candidateToken.forward(inputs)]);
        }
        return _tokenDropout.forward(x);
    }

    /// <summary>For each field, the mean of the embeddings of each candidate's keys: [candidates, e].</summary>
    private static IEnumerable<Tensor> Pooled(ModuleList<IdEmbedding> tables, KeyBags[] fields)
    {
        for (int i = 0; i < fields.Length; i++)
        {
            Tensor embedded = tables[i].forward(fields[i].Keys);
            if (fields[i].Bags is not Bags bags)
            {
                yield return embedded;
                continue;
            }
            Tensor sums = zeros(bags.InverseLength.shape[0], embedded.shape[1], embedded.dtype, embedded.device);
            yield return sums.index_add(0, bags.Candidate, embedded, 1) * bags.InverseLength;
        }
    }

    private static ModuleList<IdEmbedding> TablesOf(KeyField[] fields, int dimension)
        => new(fields.Select(field => new IdEmbedding(field, dimension)).ToArray());
}
