using System.Text.Json.Serialization;
using Microsoft.ML.Runtime;
using Microsoft.ML.SearchSpace;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// What the trainers of click-through rates have in common: columns, inputs and training. A trainer's own options derive from it. They are
/// properties, so that an AutoML search space can sweep them; the defaults train well on histories of tens to hundreds of events. A model file holds
/// the options that it was trained with.
/// </summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(SparseCtrTrainer.Options), "SparseCtr")]
[JsonDerivedType(typeof(EtaTrainer.Options), "Eta")]
[JsonDerivedType(typeof(TargetAttentionTrainer.Options), "TargetAttention")]
[JsonDerivedType(typeof(DenseAttentionTrainer.Options), "DenseAttention")]
public abstract record CtrTrainerOptions
{
    private protected CtrTrainerOptions()
    {
    }

    /// <summary>The label: a Boolean, or a Single that is 0 or 1. Default "Label".</summary>
    public string LabelColumnName { get; set; } = "Label";

    /// <summary>The candidate item: a key (MapValueToKey or Hash). Default "Item".</summary>
    public string ItemColumnName { get; set; } = "Item";

    /// <summary>
    /// Further key columns of the candidate, such as its category or brand. A column that has a partner in
    /// <see cref="HistoryColumnNames"/> must hold one key per row; others may also be vectors of keys, whose embeddings are averaged.
    /// </summary>
    public string[] CandidateColumnNames { get; set; } = [];

    /// <summary>Key columns of the user or of the request, such as gender or device: one key, or a vector of keys, per row.</summary>
    public string[] UserColumnNames { get; set; } = [];

    /// <summary>
    /// Numeric columns of the user, the candidate or the request: Single, or vectors of Single of known size. The trainer standardizes
    /// them by their mean and standard deviation in the training data.
    /// </summary>
    public string[] NumericColumnNames { get; set; } = [];

    /// <summary>
    /// The items of the user's history, oldest first: a vector of keys that shares its key mapping, and its embeddings, with
    /// <see cref="ItemColumnName"/>. Default "HistoryItem".
    /// </summary>
    public string HistoryItemColumnName { get; set; } = "HistoryItem";

    /// <summary>
    /// Further fields of the history, such as the category of each item or the action of each behavior: vectors of keys, as long as
    /// <see cref="HistoryItemColumnName"/>. Column "HistoryX" shares its embeddings with candidate column "X" where
    /// <see cref="CandidateColumnNames"/> has it; otherwise only behaviors have the field.
    /// </summary>
    public string[] HistoryColumnNames { get; set; } = [];

    /// <summary>The times of the history, oldest first: a vector of Unix seconds (Int64) or DateTime. Default "HistoryTimestamp".</summary>
    public string HistoryTimestampColumnName { get; set; } = "HistoryTimestamp";

    /// <summary>The time of the row: Unix seconds (Int64) or DateTime. Default "Timestamp".</summary>
    public string TimestampColumnName { get; set; } = "Timestamp";

    /// <summary>
    /// A key, whole number or text: consecutive rows with the same value are one request, whose history is encoded once. Null, the default, makes
    /// every row a request of its own.
    /// </summary>
    public string? RowGroupColumnName { get; set; }

    /// <summary>Behaviors of the history that are looked at, at most, of the latest: what is older does not exist for the network. 1 to 100,000; default 200.</summary>
    public int HistoryLength { get; set; } = 200;

    /// <summary>
    /// A history of more than <see cref="HistoryLength"/> behaviors begins at a multiple of this many: so it is not always the latest
    /// <see cref="HistoryLength"/> that are looked at, but at least <see cref="HistoryLength"/> − HistoryStride + 1 of them, and rows of one user
    /// that follow each other have histories that begin alike, which <see cref="RequestsPerHistory"/> needs. Histories that
    /// <see cref="SparseCtrCatalog.BehaviorSequence(TransformsCatalog, IDataView, BehaviorSequenceEstimator.Options)"/> makes are cut there, by its own
    /// option of this name. 1 to <see cref="HistoryLength"/>; default 1.
    /// </summary>
    public int HistoryStride { get; set; } = 1;

    /// <summary>Dimension of the embedding of each field. 1 to 4,096; default 16.</summary>
    [Choice(new object[] { 8, 16, 32 }, 16)]
    public int EmbeddingDimension { get; set; } = 16;

    /// <summary>
    /// Rows that the keys of a field have in an embedding table, at most: a field with more keys than this is embedded by double hashing, as
    /// the product of one row of each of two tables of this many rows (docs/model.md). 2 or more; null, the default, gives every key a row
    /// of its own. It saves memory where a field has more than twice as many keys.
    /// </summary>
    public int? MaximumTableRows { get; set; }

    /// <summary>Dimension d of the tokens, a multiple of <see cref="NumberOfHeads"/>. 1 to 8,192; default 32.</summary>
    [Choice(new object[] { 16, 32, 64 }, 32)]
    public int ModelDimension { get; set; } = 32;

    /// <summary>Attention heads H. 1 to 256; default 4.</summary>
    [Choice(new object[] { 2, 4, 8 }, 4)]
    public int NumberOfHeads { get; set; } = 4;

    /// <summary>Width of the hidden layer of the scoring head. 1 to 65,536; default 64.</summary>
    [Choice(new object[] { 32, 64, 128 }, 64)]
    public int HeadDimension { get; set; } = 64;

    /// <summary>Probability with which activations are dropped in training. 0 to below 1; default 0.1.</summary>
    [Range(0, 0.3, init: 0.1)]
    public double Dropout { get; set; } = 0.1;

    /// <summary>Probability with which components of tokens, a network's inputs, are dropped in training. 0 to below 1; default 0.2.</summary>
    [Range(0, 0.4, init: 0.2)]
    public double TokenDropout { get; set; } = 0.2;

    /// <summary>
    /// Probability with which a token's item is hidden (made missing) in training, so that the network learns from the other fields and
    /// knows what to do with unseen items. 0 to below 1; default one third.
    /// </summary>
    [Range(0, 0.5, init: 1.0 / 3)]
    public double ItemDropout { get; set; } = 1.0 / 3;

    /// <summary>Passes over the training data, at most. 1 to 10,000; default 3.</summary>
    [Range(2, 9, init: 3)]
    public int NumberOfEpochs { get; set; } = 3;

    /// <summary>Requests per optimizer step. 1 to 1,000,000; default 256. Fewer than ten thousand requests may learn better in smaller batches.</summary>
    [Choice(new object[] { 64, 128, 256, 512 }, 256)]
    public int BatchSize { get; set; } = 256;

    /// <summary>
    /// Requests of a batch that share one history, at most: where the histories of requests are the beginnings of one, as those of one user's
    /// rows are, it is encoded once for so many of them, each of which sees its own part of it. This
    /// gives the scores that each request has by itself (dropout, which hides the same of all of them, aside), but with <see cref="ChunkingPolicy.LargestGaps"/>, where chunks are those of the whole history in
    /// training, and of a request's own part in scoring. Histories are compared by their events, within
    /// <see cref="ShufflePoolSize"/> requests. 1 to 1,000,000; 1 encodes each request's history by itself; default 8.
    /// </summary>
    public int RequestsPerHistory { get; set; } = 8;

    /// <summary>Peak learning rate. Positive; default 0.01.</summary>
    [Range(1e-3, 5e-2, init: 1e-2, logBase: true)]
    public double LearningRate { get; set; } = 1e-2;

    /// <summary>How the embeddings of ids are trained. Default: AdamW.</summary>
    [Choice(EmbeddingOptimizer.AdamW, EmbeddingOptimizer.RowwiseAdagrad)]
    public EmbeddingOptimizer EmbeddingOptimizer { get; set; }

    /// <summary>Decoupled weight decay, on matrices and embeddings, not on biases, norms and RelTemporal. Default 0.01.</summary>
    [Range(1e-4, 1e-1, init: 1e-2, logBase: true)]
    public double WeightDecay { get; set; } = 0.01;

    /// <summary>Share of the steps in which the learning rate rises; after them it falls to zero along a half cosine. 0 to 1; default 0.05.</summary>
    [Range(0, 0.2, init: 0.05)]
    public double WarmupFraction { get; set; } = 0.05;

    /// <summary>Gradients are scaled down to this norm where theirs is larger. Positive; default 1.</summary>
    public double GradientClipping { get; set; } = 1;

    /// <summary>
    /// Share of the rows, the latest by <see cref="TimestampColumnName"/>, that Fit keeps for validation where it is given no
    /// validation set; rows of equal time stay together. 0, which trains on everything and keeps the last weights, to below 1; default 0.1.
    /// </summary>
    public double ValidationFraction { get; set; } = 0.1;

    /// <summary>Epochs without a better validation AUC after which training stops. 1 to 10,000; default 2.</summary>
    public int EarlyStoppingPatience { get; set; } = 2;

    /// <summary>
    /// Requests held in memory to draw mini-batches from in random order, and to find those that share a history, in validation too. At least 1; default 32,768: about 0.7 GB where every history
    /// has 1,000 events of 2 fields, and less where histories are the beginnings of others, of which the longest is held once.
    /// </summary>
    public int ShufflePoolSize { get; set; } = 32_768;

    /// <summary>
    /// Threads that training computes with on the CPU; at least 1. Null, the default, takes all processors, but one thread for libtorch's products
    /// in batches so small that threads would wait for each other longer than they compute. The environment variable OMP_NUM_THREADS goes
    /// before the default. The same seed gives the same model for the same number of threads.
    /// It is the whole process's: trainings at the same time in one process should all set it.
    /// </summary>
    public int? NumberOfThreads { get; set; }

    /// <summary>Seed of weights, order and dropout. Null, the default, takes the MLContext's seed, or a random one where it has none.</summary>
    public int? Seed { get; set; }

    /// <summary>
    /// A file from which Fit goes on where it was interrupted, by an end of the process too. On the CPU, with the same data, options, seed and number of
    /// threads, the model is the one that it would have been, to the last bit; on a GPU as far as its operators give the same result every time. A training
    /// may also go on on another device than it began on, with the same weights and moments, though not with the same dropout and rounding.
    /// It is written during training, as a whole or not at all, and deleted at the end. Its folder must exist. Null, the default, writes none; a sweep's trials (<see cref="SweepTrials"/>) have their own, in the sweep's folder.
    /// </summary>
    [JsonIgnore]
    public string? CheckpointPath { get; set; }

    /// <summary>
    /// Seconds between two checkpoints, at least; the end of an epoch writes one in any case. A checkpoint has the weights, those of the best epoch, and what the
    /// optimizers keep, about four times the weights in all. 0, which writes one after every step, or more; default 60.
    /// </summary>
    [JsonIgnore]
    public double CheckpointSeconds { get; set; } = 60;

    /// <summary>Makes the network, with random weights.</summary>
    /// <param name="config">Its inputs, and these options.</param>
    internal abstract CtrNetwork CreateNetwork(CtrConfig config);

    /// <summary>Creates what scores as such a network, of its weights.</summary>
    internal abstract ScoringNetwork CreateScoringNetwork(CtrConfig config, WeightReader weights);

    /// <summary>Whether requests whose histories are the beginnings of one get, over that one, the scores that they have by themselves.</summary>
    internal virtual bool CanShareHistories => true;

    /// <summary>Holds what a network is made of against its ranges: the options that a model file must not get wrong.</summary>
    /// <param name="require">Told of each condition: whether it holds, of which option, what is expected, and the value.</param>
    internal virtual void CheckNetwork(Requirement require)
    {
        require.Between(HistoryLength, 1, 100_000, nameof(HistoryLength));
        require.Between(HistoryStride, 1, HistoryLength, nameof(HistoryStride));
        require.Between(EmbeddingDimension, 1, 4_096, nameof(EmbeddingDimension));
        require.Between(ModelDimension, 1, 8_192, nameof(ModelDimension));
        require.Between(NumberOfHeads, 1, 256, nameof(NumberOfHeads));
        require(ModelDimension % NumberOfHeads == 0, nameof(ModelDimension), $"a multiple of {nameof(NumberOfHeads)} ({NumberOfHeads})", ModelDimension);
        require.Between(HeadDimension, 1, 65_536, nameof(HeadDimension));
        require.Fraction(Dropout, nameof(Dropout));
        require.Fraction(TokenDropout, nameof(TokenDropout));
    }

    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range: the parameter's name is the option's.</exception>
    internal void Validate(IExceptionContext context)
    {
        var check = new OptionCheck(context);
        foreach ((string? name, string option) in new[]
                 {
                     (LabelColumnName, nameof(LabelColumnName)), (ItemColumnName, nameof(ItemColumnName)),
                     (HistoryItemColumnName, nameof(HistoryItemColumnName)), (TimestampColumnName, nameof(TimestampColumnName)),
                     (HistoryTimestampColumnName, nameof(HistoryTimestampColumnName)),
                 })
            check.RequireName(name, option);
        Names(CandidateColumnNames, nameof(CandidateColumnNames));
        Names(UserColumnNames, nameof(UserColumnNames));
        Names(NumericColumnNames, nameof(NumericColumnNames));
        Names(HistoryColumnNames, nameof(HistoryColumnNames));

        Requirement require = check.Require;
        CtrConfig.Of(this).Check(require);
        require.Fraction(ItemDropout, nameof(ItemDropout));
        require.Between(NumberOfEpochs, 1, 10_000, nameof(NumberOfEpochs));
        require.Between(BatchSize, 1, 1_000_000, nameof(BatchSize));
        require.Between(RequestsPerHistory, 1, 1_000_000, nameof(RequestsPerHistory));
        require.Positive(LearningRate, nameof(LearningRate));
        require.Defined(EmbeddingOptimizer, nameof(EmbeddingOptimizer));
        require(double.IsFinite(WeightDecay) && WeightDecay >= 0, nameof(WeightDecay), "0 or more", WeightDecay);
        require.Between(WarmupFraction, 0, 1, nameof(WarmupFraction));
        require.Positive(GradientClipping, nameof(GradientClipping));
        require.Fraction(ValidationFraction, nameof(ValidationFraction));
        require.Between(EarlyStoppingPatience, 1, 10_000, nameof(EarlyStoppingPatience));
        require(NumberOfThreads is null or >= 1, nameof(NumberOfThreads), "1 or more, or null", NumberOfThreads);
        require(ShufflePoolSize >= 1, nameof(ShufflePoolSize), "1 or more", ShufflePoolSize);
        require(CheckpointPath is null || IsInFolder(CheckpointPath), nameof(CheckpointPath), "a file in a folder that exists, or null", CheckpointPath);
        require(double.IsFinite(CheckpointSeconds) && CheckpointSeconds >= 0, nameof(CheckpointSeconds), "0 or more", CheckpointSeconds);

        static bool IsInFolder(string path) => Path.GetFileName(path).Length > 0 && !Directory.Exists(path) && Directory.Exists(Path.GetDirectoryName(Path.GetFullPath(path)));

        void Names(string[]? names, string option)
        {
            check.Require(names is not null && names.All(name => !string.IsNullOrEmpty(name)), option, "column names, or an empty array", names);
            check.Require(names!.Distinct().Count() == names!.Length, option, "distinct column names", string.Join(", ", names!));
        }
    }
}
