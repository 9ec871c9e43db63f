using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// The SparseCTR network (arXiv:2601.17836; docs/model.md): embeds the behaviors and candidates of a packed batch, passes them through
/// sparse self-attention, and scores each candidate by an MLP over its last state, the user's features and the numeric features.
/// </summary>
internal sealed class SparseCtrNetwork : nn.Module<PackedBatch, Tensor>
{
    private const string TablesName = "_tables";

    private readonly SparseCtrConfig _config;
    private readonly ModuleList<IdEmbedding> _sequenceTables, _candidateTables, _userTables;
    private readonly Linear _token;
    private readonly Linear? _candidateToken;
    private readonly FusedDropout _tokenDropout, _dropout;
    private readonly ModuleList<SparseBlock> _blocks;
    private readonly RmsNorm _norm;
    private readonly Linear _hidden, _logit;

    /// <param name="config">Inputs and sizes.</param>
    /// <param name="dropout">Probability with which activations are dropped while training.</param>
    /// <param name="tokenDropout">The same for the tokens, before the first block.</param>
    /// <param name="attention">How attention is computed; not what, so that it is no part of the model.</param>
    public SparseCtrNetwork(SparseCtrConfig config, double dropout = 0, double tokenDropout = 0, AttentionImplementation attention = default)
        : base(nameof(SparseCtrNetwork))
    {
        _config = config;
        int d = config.ModelDimension, e = config.EmbeddingDimension;
        int candidateInputs = config.CandidateFields.Length * e + config.NumericDimension;
        int headInputs = d + config.UserFields.Length * e + config.NumericDimension;

        register_module("sequence" + TablesName, _sequenceTables = TablesOf(config.SequenceFields, e));
        register_module("candidate" + TablesName, _candidateTables = TablesOf(config.CandidateFields, e));
        register_module("user" + TablesName, _userTables = TablesOf(config.UserFields, e));
        register_module("token", _token = nn.Linear(config.SequenceFields.Length * e, d));
        if (candidateInputs > 0)
            register_module("candidate_token", _candidateToken = nn.Linear(candidateInputs, d, hasBias: false));
        register_module("token_dropout", _tokenDropout = new FusedDropout(tokenDropout));
        register_module("dropout", _dropout = new FusedDropout(dropout));
        register_module("blocks", _blocks = new ModuleList<SparseBlock>(
            Enumerable.Range(0, config.NumberOfBlocks).Select(_ => new SparseBlock(config, dropout, attention)).ToArray()));
        register_module("norm", _norm = new RmsNorm(d));
        register_module("hidden", _hidden = nn.Linear(headInputs, config.HeadDimension));
        register_module("logit", _logit = nn.Linear(config.HeadDimension, 1));
        Initialize();
    }

    private void Initialize()
    {
        foreach (nn.Module module in modules())
        {
            if (module is Linear linear)
            {
                nn.init.xavier_uniform_(linear.weight);
                if (linear.bias is not null)
                    nn.init.zeros_(linear.bias);
            }
        }
    }

    /// <summary>Whether a parameter, by its name, is that of an embedding table.</summary>
    public static bool IsOfTable(string parameterName) => parameterName.Contains(TablesName + ".", StringComparison.Ordinal);

    /// <summary>What embeds each field, in the order of <see cref="SparseCtrConfig.AllFields"/>.</summary>
    public IEnumerable<IdEmbedding> Tables => _sequenceTables.Concat(_candidateTables).Concat(_userTables);

    /// <summary>The logit of each candidate of the batch: [candidates].</summary>
    public override Tensor forward(PackedBatch batch)
    {
        Tensor x = Tokens(batch);
        for (int i = 0; i < _blocks.Count; i++)
            x = _blocks[i].forward(x, batch.Plan, candidatesOnly: i == _blocks.Count - 1);

        Tensor state = cat([_norm.forward(x), .. Pooled(_userTables, batch.UserKeys), batch.Numbers], 1);
        return _logit.forward(_dropout.forward(_hidden.forward(state).silu())).squeeze(1);
    }

    private Tensor Tokens(PackedBatch batch)
    {
        IEnumerable<Tensor> fields = _sequenceTables.Select((table, i) => table.forward(batch.SequenceKeys[i]));
        Tensor x = _token.forward(cat(fields.ToArray(), 1));
        if (_candidateToken is not null)
        {
            Tensor inputs = cat([.. Pooled(_candidateTables, batch.CandidateKeys), batch.Numbers], 1);
            Tensor none = zeros(batch.Plan.BehaviorCount, _config.ModelDimension, x.dtype, x.device);
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
