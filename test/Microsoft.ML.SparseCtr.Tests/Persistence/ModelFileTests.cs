using System.IO.Compression;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.ML.Data;

namespace Microsoft.ML.SparseCtr.Tests;

public sealed class ModelFileTests(TrainedModel trained) : IClassFixture<TrainedModel>, IDisposable
{
    private readonly MLContext _mlContext = trained.MLContext;
    private readonly string _path = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid():N}.zip");

    public void Dispose() => File.Delete(_path);

    [Fact]
    public void A_loaded_pipeline_scores_as_the_saved_one_to_the_last_bit()
    {
        Save();
        ITransformer loaded = new MLContext().Model.Load(_path, out DataViewSchema schema);
        Assert.Equal(trained.TestView.Schema.Select(column => column.Name), schema.Select(column => column.Name));
        Assert.Equal(Scores(trained.Model), Scores(loaded));
    }

    [Fact]
    public void A_loaded_pipeline_saves_again()
    {
        Save();
        ITransformer loaded = _mlContext.Model.Load(_path, out DataViewSchema schema);
        _mlContext.Model.Save(loaded, schema, _path);
        Assert.Equal(Scores(trained.Model), Scores(_mlContext.Model.Load(_path, out _)));
    }

    [Fact]
    public void The_zip_holds_the_configuration_and_the_weights_in_open_formats()
    {
        Save();
        using ZipArchive zip = ZipFile.OpenRead(_path);
        using JsonDocument config = JsonDocument.Parse(ModelZip.Entry(zip, "config.json").Open());
        Assert.Equal(5, config.RootElement.GetProperty("formatVersion").GetInt32());
        Assert.Equal("Item", config.RootElement.GetProperty("network").GetProperty("sequenceFields")[0].GetProperty("columnName").GetString());

        using var weights = new BinaryReader(ModelZip.Entry(zip, "weights.safetensors").Open());
        using JsonDocument header = JsonDocument.Parse(weights.ReadBytes((int)weights.ReadInt64()));
        JsonElement table = header.RootElement.GetProperty("sequence_tables.0.table.weight");
        Assert.Equal("F32", table.GetProperty("dtype").GetString());
        Assert.Equal(TinyClicks.Kinds * TinyClicks.ItemsPerKind + 1, table.GetProperty("shape")[0].GetInt32());
    }

    [Fact]
    public void Every_weight_is_written_once()
    {
        using CtrNetwork network = TestRequests.Network(TestRequests.Config, dtype: TorchSharp.torch.ScalarType.Float32);
        using var stream = new MemoryStream();
        ModelFile.WriteWeights(network.CopyWeights(), stream);
        stream.Position = 0;
        Assert.Equal(network.parameters().Sum(weight => weight.numel()), SafeTensors.ReadHeader(stream).Sum(tensor => tensor.End - tensor.Start) / sizeof(float));
    }

    [Theory]
    [InlineData(1, ChunkingPolicy.LargestGaps, 1)]
    [InlineData(2, ChunkingPolicy.EqualCounts, 5)]
    public void Files_of_earlier_versions_name_sizes_alone_and_those_of_the_first_no_policy(int version, ChunkingPolicy policy, int stride)
    {
        Save();
        using (ZipArchive zip = ZipFile.Open(_path, ZipArchiveMode.Update))
            EditConfig(text => Earlier(text, version))(zip);
        var loaded = ((IEnumerable<ITransformer>)_mlContext.Model.Load(_path, out _)).OfType<CtrTransformer>().Single();
        var options = Assert.IsType<SparseCtrTrainer.Options>(loaded.Config.Options);
        Assert.Equal((policy, stride, TinyClicks.Options().ModelDimension), (options.Chunking, options.HistoryStride, options.ModelDimension));
    }

    private static string Earlier(string config, int version)
    {
        JsonNode root = JsonNode.Parse(config)!, network = root["network"]!, options = network["options"]!;
        root["formatVersion"] = version;
        network.AsObject().Remove("options");
        IEnumerable<string> names =
        [
            "timestampColumnName", "historyTimestampColumnName", "historyLength", "embeddingDimension", "modelDimension", "numberOfHeads", "numberOfBlocks",
            "numberOfChunks", "transitionBehaviors", "localWindow", "feedForwardDimension", "headDimension", "timeScaleSeconds", "utcOffsetHours",
        ];
        foreach (string name in names)
            network[name] = options[name]!.DeepClone();
        if (version > 1)
            (network["chunking"], network["historyStride"]) = ("EqualCounts", 5);
        return root.ToJsonString();
    }

    [Fact]
    public void A_newer_format_is_refused_with_both_versions()
        => AssertRefused("format version 6, and this version of Microsoft.ML.SparseCtr reads up to 5",
            EditConfig(text => text.Replace("\"formatVersion\": 5", "\"formatVersion\": 6")));

    [Fact]
    public void A_size_out_of_range_is_refused()
        => AssertRefused("ModelDimension must be 1 to 8,192", EditConfig(text => text.Replace("\"modelDimension\": 16", "\"modelDimension\": 1000000000")));

    [Fact]
    public void A_table_larger_than_the_file_is_refused_before_it_is_allocated()
        => AssertRefused("needs a tensor sequence_tables.0.table.weight of shape [2000000001, 8], but it has shape [21, 8]",
            EditConfig(text => text.Replace("\"keyCount\": 20", "\"keyCount\": 2000000000")));

    [Fact]
    public void Hashed_tables_larger_than_the_file_are_refused_before_they_are_allocated()
        => AssertRefused("needs a tensor sequence_tables.0.table.weight of shape [1000001, 8], but it has shape [21, 8]",
            EditConfig(text => text.Replace("\"keyCount\": 20", "\"keyCount\": 2000000000").Replace("\"maximumTableRows\": null", "\"maximumTableRows\": 1000000")));

    [Fact]
    public void Tables_of_other_rows_than_the_configurations_are_refused()
        => AssertRefused("the network needs a tensor", EditConfig(text => text.Replace("\"maximumTableRows\": null", "\"maximumTableRows\": 2")));

    [Fact]
    public void A_table_of_no_rows_is_refused()
        => AssertRefused("MaximumTableRows must be 2 or more, or null, not 0", EditConfig(text => text.Replace("\"maximumTableRows\": null", "\"maximumTableRows\": 0")));

    [Fact]
    public void A_configuration_that_is_not_JSON_is_refused() => AssertRefused("SparseCtr model cannot be read", EditConfig(_ => "{ oops"));

    [Fact]
    public void A_misspelled_field_of_the_configuration_is_refused()
        => AssertRefused("localWindo", EditConfig(text => text.Replace("\"localWindow\"", "\"localWindo\"")));

    [Theory]
    [InlineData("Magic", "'Magic'")]
    [InlineData("Eta", "numberOfChunks")]
    [InlineData("TargetAttention", "numberOfChunks")]
    [InlineData("DenseAttention", "numberOfChunks")]
    public void An_unknown_kind_and_options_of_another_kind_are_refused_by_name(string kind, string named)
        => AssertRefused(named, EditConfig(text => text.Replace("\"kind\": \"SparseCtr\"", $"\"kind\": \"{kind}\"")));

    [Fact]
    public void A_configuration_without_a_kind_is_refused()
        => AssertRefused("must specify a type discriminator", EditConfig(text => text.Replace("\"kind\": \"SparseCtr\",", "")));

    [Fact]
    public void An_unknown_member_of_the_configuration_is_refused()
        => AssertRefused("magic", EditConfig(text => text.Replace("\"sequenceFields\"", "\"magic\": 1, \"sequenceFields\"")));

    [Fact]
    public void Weights_that_end_early_are_refused() => AssertRefused("are there", EditWeights(bytes => bytes[..^4]));

    [Fact]
    public void Weights_that_end_in_the_header_are_refused() => AssertRefused("cannot be read", EditWeights(bytes => bytes[..20]));

    [Fact]
    public void A_header_that_claims_gigabytes_is_refused()
        => AssertRefused("header claims", EditWeights(bytes => [0, 0, 0, 0, 0, 1, 0, 0, .. bytes[8..]]));

    [Fact]
    public void A_tensor_of_impossible_size_is_refused()
        => AssertRefused("cannot be at bytes", EditWeights(bytes => Replace(bytes, "\"shape\":[21,8]", "\"shape\":[99,8]")));

    [Fact]
    public void A_tensor_of_another_network_is_refused()
        => AssertRefused("the network needs a tensor hidden.bias of shape [16], but there is none", EditWeights(bytes => Replace(bytes, "hidden.bias", "hidden.bios")));

    [Fact]
    public void An_entry_that_is_missing_is_named()
    {
        AssertRefused("config.json is missing", zip => ModelZip.Entry(zip, "config.json").Delete());
        AssertRefused("weights.safetensors is missing", zip => ModelZip.Entry(zip, "weights.safetensors").Delete());
    }

    private void Save() => _mlContext.Model.Save(trained.Model, trained.TestView.Schema, _path);

    private float[] Scores(ITransformer model) => TinyClicks.Predict(_mlContext, model, trained.TestRows).Select(prediction => prediction.Score).ToArray();

    private void AssertRefused(string message, Action<ZipArchive> spoil)
    {
        using var file = new ModelZip(_mlContext, trained.Model, trained.TestView.Schema);
        file.AssertRefused(message, spoil);
    }

    private static Action<ZipArchive> EditConfig(Func<string, string> edit) => ModelZip.EditText("config.json", edit);

    private static Action<ZipArchive> EditWeights(Func<byte[], byte[]> edit) => ModelZip.Edit("weights.safetensors", edit);

    private static byte[] Replace(byte[] bytes, string from, string to)
        => Encoding.Latin1.GetBytes(Encoding.Latin1.GetString(bytes).Replace(from, to));
}
