using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.Tests;

public class PipelineTests
{
    private readonly MLContext _ml = new();

    private class Row
    {
        public string Word { get; set; }
        public float Number { get; set; }
    }

    private IDataView Data => _ml.Data.LoadFromEnumerable(new Row[] { new() { Word = "a" }, new() { Word = "b" } });

    private class CountingEstimator(IEstimator<ITransformer> inner) : IEstimator<ITransformer>
    {
        public int FitCount { get; private set; }
        public IDataView Seen { get; private set; }

        public ITransformer Fit(IDataView input)
        {
            FitCount++;
            Seen = input;
            return inner.Fit(input);
        }

        public SchemaShape GetOutputSchema(SchemaShape inputSchema) => inner.GetOutputSchema(inputSchema);
    }

    [Fact]
    public void EachEstimatorIsFittedOnWhatThoseBeforeItMake()
    {
        var last = new CountingEstimator(_ml.Transforms.Conversion.MapKeyToValue("Back", "Key"));
        var model = _ml.Transforms.Conversion.MapValueToKey("Key", "Word").Append(last).Fit(Data);
        Assert.NotNull(last.Seen.Schema.GetColumnOrNull("Key"));
        Assert.Equal(["a", "b"], model.Transform(Data).GetColumn<string>("Back"));
        Assert.Equal(2, model.Count());
        Assert.IsType<KeyToValueMappingTransformer>(model.LastTransformer);
    }

    [Fact]
    public void NothingIsFittedWhereTheSchemaDoesNotFit()
    {
        var first = new CountingEstimator(_ml.Transforms.Conversion.MapValueToKey("Key", "Word"));
        var pipeline = first.Append(_ml.Transforms.Conversion.MapKeyToValue("Back", "Key"))
            .Append(_ml.Transforms.Concatenate("Both", "Back", "Number"));
        Assert.Throws<ArgumentOutOfRangeException>(() => pipeline.Fit(Data));
        Assert.Equal(0, first.FitCount);
    }

    [Fact]
    public void TheShapeOfTheOutputIsThatOfTheTransformedData()
    {
        var pipeline = _ml.Transforms.Conversion.MapValueToKey("Key", "Word")
            .Append(_ml.Transforms.Conversion.MapKeyToValue("Back", "Key"))
            .Append(_ml.Transforms.Concatenate("Vector", "Number", "Number"))
            .Append(_ml.Transforms.Conversion.Hash("Hash", "Word"))
            .Append(_ml.Transforms.Conversion.ConvertType("Double", "Vector", DataKind.Double))
            .Append(_ml.Transforms.DropColumns("Word"));
        var shape = pipeline.GetOutputSchema(SchemaShape.Create(Data.Schema));
        var actual = SchemaShape.Create(pipeline.Fit(Data).Transform(Data).Schema);
        Assert.Equal(actual.Select(column => column.Name), shape.Select(column => column.Name));
        Assert.Equal(actual.Select(column => column.GetTypeString()), shape.Select(column => column.GetTypeString()));
    }

    [Fact]
    public void ColumnShapesAreCompatibleWhenKindTypeAndAnnotationsAre()
    {
        var shape = SchemaShape.Create(_ml.Transforms.Conversion.MapValueToKey("Word").Fit(Data).Transform(Data).Schema);
        Assert.True(shape.TryFindColumn("Word", out var key));
        Assert.Equal("Key<UInt32>", key.GetTypeString());
        Assert.True(new SchemaShape.Column("Word", SchemaShape.Column.VectorKind.Scalar, NumberDataViewType.UInt32, isKey: true)
            .IsCompatibleWith(key));
        Assert.False(new SchemaShape.Column("Word", SchemaShape.Column.VectorKind.Vector, NumberDataViewType.UInt32, isKey: true)
            .IsCompatibleWith(key));
        Assert.False(new SchemaShape.Column("Word", SchemaShape.Column.VectorKind.Scalar, NumberDataViewType.UInt32, isKey: true,
            new SchemaShape(AnnotationUtils.GetTrainerOutputAnnotation())).IsCompatibleWith(key));
    }

    [Fact]
    public void AfterACacheCheckpointDataIsReadOnce()
    {
        int reads = 0;
        var data = _ml.Data.LoadFromEnumerable(Enumerable.Range(0, 5).Select(i =>
        {
            reads++;
            return new Row { Word = $"{i}" };
        }));
        var pipeline = _ml.Transforms.CopyColumns("Copy", "Word").AppendCacheCheckpoint(_ml)
            .Append(_ml.Transforms.Conversion.MapValueToKey("A", "Copy")).Append(_ml.Transforms.Conversion.MapValueToKey("B", "Copy"));
        pipeline.Fit(data);
        Assert.Equal(5, reads);
    }

    [Fact]
    public void ChainsAreFilteredByScope()
    {
        var copy = _ml.Transforms.CopyColumns("Copy", "Word").Fit(Data);
        var chain = new TransformerChain<ITransformer>().Append(copy, TransformerScope.Training).Append(copy, TransformerScope.Everything);
        Assert.Single(chain.GetModelFor(TransformerScope.Scoring));
        Assert.Equal(2, copy.Append(copy).Count());
    }

    [Fact]
    public void RowMappersDemandTheirSchemaAndOnlyTheInputsTheyNeed()
    {
        ITransformer model = _ml.Transforms.CopyColumns("A", "Word").Append(_ml.Transforms.CopyColumns("B", "A")).Fit(Data);
        var data = Data;
        var mapper = model.GetRowToRowMapper(data.Schema);
        Assert.True(model.IsRowToRowMapper);
        Assert.Equal(["Word"], mapper.GetDependencies([mapper.OutputSchema["B"]]).Select(column => column.Name));
        using var cursor = data.GetRowCursor([data.Schema["Word"]]);
        using var row = mapper.GetRow(cursor, [mapper.OutputSchema["B"]]);
        Assert.True(cursor.MoveNext());
        ReadOnlyMemory<char> value = default;
        row.GetGetter<ReadOnlyMemory<char>>(mapper.OutputSchema["B"])(ref value);
        Assert.Equal("a", value.ToString());
        Assert.Throws<ArgumentException>(() => mapper.GetRow(Data.GetRowCursor([]), []));
    }

    [Fact]
    public void TransformingIsLazy()
    {
        int reads = 0;
        var data = _ml.Data.LoadFromEnumerable(Enumerable.Range(0, 5).Select(i =>
        {
            reads++;
            return new Row();
        }));
        var model = _ml.Transforms.CopyColumns("Copy", "Word").Fit(data);
        var transformed = model.Transform(data);
        Assert.Equal(0, reads);
        using var cursor = transformed.GetRowCursor([]);
        cursor.MoveNext();
        Assert.Equal(1, reads);
    }
}
