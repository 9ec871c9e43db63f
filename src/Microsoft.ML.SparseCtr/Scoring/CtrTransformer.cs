using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.SparseCtr.Interop;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// A trained network. It adds Score (the logit), Probability and PredictedLabel to each row. A view is scored in batches, as far as
/// it is read; of the rows that are read at a time, those with the same history, such as those of one request, have it encoded once, and so, but
/// with <see cref="ChunkingPolicy.LargestGaps"/>, have those whose histories are the beginnings of one. Safe for concurrent use; <see cref="Dispose"/> it, or the PredictionEngine
/// over it, when no one uses it any more.
/// </summary>
public sealed class CtrTransformer : ColumnAddingTransformer, IDisposable
{
    private readonly IHost _host;
    private ScoringNetwork? _network;

    internal CtrTransformer(IHostEnvironment environment, ScoringNetwork network)
    {
        _host = environment.Register(nameof(CtrTransformer));
        _network = network;
        Config = network.Config;
    }

    internal CtrConfig Config { get; }

    internal long NumberOfParameters => Network.Weights.All.Sum(weight => weight.Count);

    /// <exception cref="ObjectDisposedException">The transformer has let it go.</exception>
    internal ScoringNetwork Network => _network ?? throw new ObjectDisposedException(nameof(CtrTransformer));

    private protected override ColumnAddingMapper MapperFor(DataViewSchema schema) => new ScoringMapper(this, schema);

    private protected override void Save(ModelSaveContext context)
        => SparseCtrLoader.Entries.Save(context, writer => ModelFile.WriteConfig(Config, writer), stream => ModelFile.WriteWeights(Network.Weights, stream));

    /// <summary>Lets go of the network's weights, which are freed when nothing that was made of the transformer scores with them any more.</summary>
    public void Dispose() => _network = null;

    internal void CheckColumns(DataViewSchema schema)
    {
        SchemaShape shape = MLNetInternals.ShapeOf(schema);
        foreach (InputColumn column in InputColumn.Of(Config))
            column.Check(_host, shape);
        KeyBinding.Check(Config, schema);
    }
}
