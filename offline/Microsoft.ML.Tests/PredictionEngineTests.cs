using Microsoft.ML.Data;

namespace Microsoft.ML.Tests;

public class PredictionEngineTests
{
    private readonly MLContext _ml = new();

    private class Input
    {
        public string Word { get; set; } = "";
        public float[] Numbers { get; set; } = [];
    }

    private class Output
    {
        public uint Key { get; set; }
        public float[] Numbers { get; set; }
        public string Absent { get; set; } = "kept";
    }

    private IDataView Data => _ml.Data.LoadFromEnumerable(new Input[] { new() { Word = "a" }, new() { Word = "b" } });

    private ITransformer Model => _ml.Transforms.Conversion.MapValueToKey("Key", "Word").Fit(Data);

    [Fact]
    public void EachExampleIsPredictedByItself()
    {
        using var engine = _ml.Model.CreatePredictionEngine<Input, Output>(Model);
        Assert.Equal(2u, engine.Predict(new Input { Word = "b" }).Key);
        Assert.Equal(1u, engine.Predict(new Input { Word = "a" }).Key);
        Assert.Equal(0u, engine.Predict(new Input { Word = "c" }).Key);
        Assert.NotNull(engine.OutputSchema["Key"].Annotations);
    }

    [Fact]
    public void APredictionObjectIsFilledAnew()
    {
        using var engine = _ml.Model.CreatePredictionEngine<Input, Output>(Model);
        var output = new Output();
        engine.Predict(new Input { Word = "b", Numbers = [1, 2] }, ref output);
        float[] numbers = output.Numbers;
        engine.Predict(new Input { Word = "a", Numbers = [3, 4] }, ref output);
        Assert.Equal(1u, output.Key);
        Assert.Same(numbers, output.Numbers);
        Assert.Equal([3, 4], output.Numbers);
        Assert.Equal("kept", output.Absent);
    }

    [Fact]
    public void MissingColumnsAreAnErrorOnDemand() => Assert.Throws<ArgumentOutOfRangeException>(() =>
        _ml.Model.CreatePredictionEngine<Input, Output>(Model, ignoreMissingColumns: false));

    private class Keyed
    {
        public uint Key { get; set; }
    }

    private class Word
    {
        public string Value { get; set; }
    }

    [Fact]
    public void AnInputSchemaGivesTypesAndAnnotations()
    {
        var keys = Model.Transform(Data);
        var back = _ml.Transforms.Conversion.MapKeyToValue("Value", "Key").Fit(keys);
        using var engine = _ml.Model.CreatePredictionEngine<Keyed, Word>(back, keys.Schema);
        Assert.Equal("b", engine.Predict(new Keyed { Key = 2 }).Value);
    }

    private sealed class DisposableTransformer(ITransformer inner) : ITransformer, IDisposable
    {
        public bool IsDisposed { get; private set; }

        public void Dispose() => IsDisposed = true;

        public bool IsRowToRowMapper { get; init; } = true;

        public DataViewSchema GetOutputSchema(DataViewSchema inputSchema) => inner.GetOutputSchema(inputSchema);

        public IRowToRowMapper GetRowToRowMapper(DataViewSchema inputSchema) => inner.GetRowToRowMapper(inputSchema);

        public IDataView Transform(IDataView input) => inner.Transform(input);

        void ICanSaveModel.Save(ModelSaveContext ctx) => throw new NotSupportedException();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void TheTransformerIsDisposedIfItIsOwned(bool owns)
    {
        var transformer = new DisposableTransformer(Model);
        _ml.Model.CreatePredictionEngine<Input, Output>(transformer, new PredictionEngineOptions { OwnsTransformer = owns }).Dispose();
        Assert.Equal(owns, transformer.IsDisposed);
    }

    [Fact]
    public void TransformersAreOwnedByDefaultAlsoInChains()
    {
        var transformer = new DisposableTransformer(Model);
        _ml.Model.CreatePredictionEngine<Input, Output>(new TransformerChain<ITransformer>(transformer)).Dispose();
        Assert.True(transformer.IsDisposed);
    }

    [Fact]
    public void OnlyRowMappersPredict() => Assert.Throws<InvalidOperationException>(() =>
        _ml.Model.CreatePredictionEngine<Input, Output>(new DisposableTransformer(Model) { IsRowToRowMapper = false }));
}
