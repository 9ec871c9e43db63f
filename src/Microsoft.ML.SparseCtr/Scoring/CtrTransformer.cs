using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.SparseCtr.Interop;
using TorchSharp;

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
    private readonly CtrNetwork _network;

    /// <param name="environment">The environment that the transformer belongs to.</param>
    /// <param name="network">Trained, on the CPU, in evaluation mode; the transformer owns it.</param>
    internal CtrTransformer(IHostEnvironment environment, CtrNetwork network)
    {
        _host = environment.Register(nameof(CtrTransformer));
        _network = network;
        _network.Freeze();
    }

    internal CtrConfig Config => _network.Config;

    internal long NumberOfParameters => _network.parameters().Sum(parameter => parameter.numel());

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
        using PackedBatch batch = PackedBatch.Create(requests, _network, torch.CPU);
        return _network.forward(batch).data<float>().ToArray();
    }
}
