using Microsoft.ML.Data;

namespace Microsoft.ML.Tests;

public class ColumnTransformTests
{
    private readonly MLContext _ml = new();

    private class Row
    {
        public float A { get; set; } = 1;
        [VectorType(2)] public float[] B { get; set; } = [2, 3];
        public float[] C { get; set; } = [4, 5, 6];
        public string Text { get; set; } = "7.5";
        public bool Flag { get; set; } = true;
        public DateTime Time { get; set; } = new(10);
    }

    private IDataView Data => _ml.Data.LoadFromEnumerable(new Row[] { new() });

    private T Apply<T>(IEstimator<ITransformer> estimator, string column) =>
        estimator.Fit(Data).Transform(Data).GetColumn<T>(column).Single();

    [Fact]
    public void ConcatenationKeepsOrderAndKnowsItsSizeWhenItsInputsDo()
    {
        var fixedSize = _ml.Transforms.Concatenate("Out", "A", "B");
        Assert.Equal([1, 2, 3], Apply<float[]>(fixedSize, "Out"));
        Assert.Equal(3, ((VectorDataViewType)fixedSize.Fit(Data).GetOutputSchema(Data.Schema)["Out"].Type).Size);
        var variable = _ml.Transforms.Concatenate("Out", "C", "A", "B");
        Assert.Equal([4, 5, 6, 1, 2, 3], Apply<float[]>(variable, "Out"));
        Assert.False(((VectorDataViewType)variable.Fit(Data).GetOutputSchema(Data.Schema)["Out"].Type).IsKnownSize);
    }

    [Fact]
    public void SlotsHaveTheNamesOfTheScalarsInThem()
    {
        var column = _ml.Transforms.Concatenate("Out", "A", "B").Fit(Data).GetOutputSchema(Data.Schema)["Out"];
        Assert.True(column.HasSlotNames());
        VBuffer<ReadOnlyMemory<char>> names = default;
        column.GetSlotNames(ref names);
        Assert.Equal(["A", "", ""], names.DenseValues().Select(name => name.ToString()));
    }

    [Fact]
    public void OnlyColumnsOfOneTypeAreConcatenated() => Assert.Contains("expected Single, got String",
        Assert.Throws<ArgumentOutOfRangeException>(() => _ml.Transforms.Concatenate("Out", "A", "Text").Fit(Data)).Message);

    [Fact]
    public void CopiesHaveTheValuesAndTheTypeOfTheirInput()
    {
        var copied = _ml.Transforms.CopyColumns("Out", "B").Fit(Data).Transform(Data);
        Assert.Equal([2, 3], copied.GetColumn<float[]>("Out").Single());
        Assert.Equal(Data.Schema["B"].Type, copied.Schema["Out"].Type);
    }

    [Fact]
    public void AColumnOfTheSameNameHidesTheOldOne()
    {
        var schema = _ml.Transforms.CopyColumns("A", "Text").Fit(Data).GetOutputSchema(Data.Schema);
        Assert.Equal(TextDataViewType.Instance, schema["A"].Type);
        Assert.True(schema[0].IsHidden);
    }

    [Fact]
    public void SelectedColumnsComeInTheOrderGiven()
    {
        var selected = _ml.Transforms.SelectColumns("Text", "A").Fit(Data).Transform(Data);
        Assert.Equal(["Text", "A"], selected.Schema.Select(column => column.Name));
        Assert.Equal("7.5", selected.GetColumn<string>("Text").Single());
        var dropped = _ml.Transforms.DropColumns("Text", "C").Fit(Data).Transform(Data);
        Assert.Equal(["A", "B", "Flag", "Time"], dropped.Schema.Select(column => column.Name));
    }

    [Fact]
    public void HiddenColumnsAreSelectedOnDemand()
    {
        var data = _ml.Transforms.CopyColumns("A", "Text").Fit(Data).Transform(Data);
        Assert.Single(_ml.Transforms.SelectColumns("A").Fit(data).Transform(data).Schema);
        Assert.Equal(2, _ml.Transforms.SelectColumns(["A"], keepHidden: true).Fit(data).Transform(data).Schema.Count);
    }

    [Fact]
    public void MissingColumnsAreNamed()
    {
        string message = Assert.Throws<ArgumentOutOfRangeException>(() => _ml.Transforms.SelectColumns("Nope").Fit(Data)).Message;
        Assert.StartsWith("Could not find input column 'Nope'", message);
        Assert.Throws<ArgumentOutOfRangeException>(() => _ml.Transforms.CopyColumns("X", "Nope").Fit(Data));
    }

    [Fact]
    public void ValuesConvertBetweenTypes()
    {
        Assert.Equal(7.5f, Apply<float>(_ml.Transforms.Conversion.ConvertType("Text"), "Text"));
        Assert.Equal(1f, Apply<float>(_ml.Transforms.Conversion.ConvertType("Flag"), "Flag"));
        Assert.Equal([4, 5, 6], Apply<int[]>(_ml.Transforms.Conversion.ConvertType("C", outputKind: DataKind.Int32), "C"));
        Assert.Equal("1", Apply<string>(_ml.Transforms.Conversion.ConvertType("A", outputKind: DataKind.String), "A"));
        Assert.True(Apply<bool>(_ml.Transforms.Conversion.ConvertType("A", outputKind: DataKind.Boolean), "A"));
        Assert.Equal(10, Apply<long>(_ml.Transforms.Conversion.ConvertType("Time", outputKind: DataKind.Int64), "Time"));
    }

    [Fact]
    public void TextThatIsNoNumberBecomesNaNOrAnError()
    {
        var data = _ml.Data.LoadFromEnumerable(new Row[] { new() { Text = "many" } });
        var real = _ml.Transforms.Conversion.ConvertType("Text").Fit(data).Transform(data);
        Assert.True(float.IsNaN(real.GetColumn<float>("Text").Single()));
        var integer = _ml.Transforms.Conversion.ConvertType("Text", outputKind: DataKind.Int32).Fit(data).Transform(data);
        Assert.Contains("'many'", Assert.Throws<InvalidOperationException>(() => integer.GetColumn<int>("Text").Single()).Message);
    }

    [Fact]
    public void SparseVectorsStaySparseWhereZeroStaysZero()
    {
        var sparse = new VBuffer<float>(4, 1, [2], [3]);
        var data = _ml.Data.LoadFromEnumerable(new[] { new { Value = sparse } });
        var converted = _ml.Transforms.Conversion.ConvertType("Value", outputKind: DataKind.Int32).Fit(data).Transform(data);
        Assert.False(converted.GetColumn<VBuffer<int>>("Value").Single().IsDense);
        var keys = _ml.Transforms.Conversion.MapValueToKey("Value").Fit(data).Transform(data);
        Assert.Equal([1, 1, 1, 2], keys.GetColumn<uint[]>("Value").Single());
    }
}
