using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.SparseCtr.Interop;
using TorchSharp;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// A trained SparseCTR network. It adds Score (the logit), Probability and PredictedLabel to each row. A view is scored in batches, as far as
/// it is read; of the rows that are read at a time, those with the same history, such as those of one request, have it encoded once, and so, with
/// causal chunks, have those whose histories are the beginnings of one. Safe for concurrent use; <see cref="Dispose"/> it, or the PredictionEngine
/// over it, when no one uses it any more.
/// </summary>
public sealed class SparseCtrTransformer : ColumnAddingTransformer, IDisposable
{
    private readonly IHost _host;
    private readonly SparseCtrNetwork _network;

    /// <param name="environment">The environment that the transformer belongs to.</param>
    /// <param name="config">Inputs and sizes.</param>
    /// <param name="network">Trained, on the CPU, in evaluation mode; the transformer owns it.</param>
    internal SparseCtrTransformer(IHostEnvironment environment, SparseCtrConfig config, SparseCtrNetwork network)
    {
        _host = environment.Register(nameof(SparseCtrTransformer));
        (Config, _network) = (config, network);
    }

    internal SparseCtrConfig Config { get; }

    private protected override ColumnAddingMapper MapperFor(DataViewSchema schema) => new ScoringMapper(this, schema);

    private protected override void Save(ModelSaveContext context)
        => SparseCtrLoader.Entries.Save(context, writer => ModelFile.WriteConfig(Config, writer), stream => ModelFile.WriteWeights(_network, stream));

    /// <summary>Frees the network's weights.</summary>
    public void Dispose() => _network.Dispose();

    internal void CheckColumns(DataViewSchema schema)
    {
        SchemaShape shape = MLNetInternals.ShapeOf(schema);
        foreach (InputColumn column in InputColumn.Of(Config))
            column.Check(_host, shape);
        KeyBinding.Check(Config, schema);
    }

    /// <summary>The logits of the requests' impressions, in their order.</summary>
    internal float[] Score(IReadOnlyList<Request> requests)
    {
        using IDisposable noGradient = torch.no_grad();
        using DisposeScope scope = torch.NewDisposeScope();
        using PackedBatch batch = PackedBatch.Create(requests, Config, torch.CPU);
        return _network.forward(batch).data<float>().ToArray();
    }
}
