using FsCheck;
using FsCheck.Fluent;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.Tests;

public class KeyMappingTests
{
    private readonly MLContext _ml = new();

    private class Row
    {
        public string Word { get; set; } = "";
        public long[] Ids { get; set; } = [];
        public float Number { get; set; }
    }

    private IDataView Load(params Row[] rows) => _ml.Data.LoadFromEnumerable(rows);

    [Fact]
    public void KeysCountFromOneInTheOrderOfOccurrence()
    {
        var data = Load(new() { Word = "b" }, new() { Word = "a" }, new() { Word = "b" }, new() { Word = "" });
        var mapped = _ml.Transforms.Conversion.MapValueToKey("Key", "Word").Fit(data).Transform(data);
        Assert.Equal([1, 2, 1, 0], mapped.GetColumn<uint>("Key"));
        Assert.Equal(new KeyDataViewType(typeof(uint), 2), mapped.Schema["Key"].Type);
        VBuffer<ReadOnlyMemory<char>> values = default;
        mapped.Schema["Key"].GetKeyValues(ref values);
        Assert.Equal(["b", "a"], values.DenseValues().Select(value => value.ToString()));
    }

    [Fact]
    public void KeysCanFollowTheOrderOfValuesAndBeLimited()
    {
        var data = Load(new() { Word = "c" }, new() { Word = "a" }, new() { Word = "b" });
        var sorted = _ml.Transforms.Conversion.MapValueToKey("Word", keyOrdinality: ValueToKeyMappingEstimator.KeyOrdinality.ByValue);
        Assert.Equal([3, 1, 2], sorted.Fit(data).Transform(data).GetColumn<uint>("Word"));
        var limited = _ml.Transforms.Conversion.MapValueToKey("Word", maximumNumberOfKeys: 2);
        Assert.Equal([1, 2, 0], limited.Fit(data).Transform(data).GetColumn<uint>("Word"));
    }

    [Fact]
    public void UnseenAndMissingValuesHaveKeyZero()
    {
        var model = _ml.Transforms.Conversion.MapValueToKey("Number").Fit(Load(new() { Number = 2 }, new() { Number = float.NaN }));
        var mapped = model.Transform(Load(new() { Number = float.NaN }, new() { Number = 3 }, new() { Number = 2 }));
        Assert.Equal([0, 0, 1], mapped.GetColumn<uint>("Number"));
        Assert.Equal(1UL, ((KeyDataViewType)mapped.Schema["Number"].Type).Count);
    }

    [Fact]
    public void ItemsOfVariableVectorsAreMapped()
    {
        var data = Load(new() { Ids = [7, 8, 7] }, new() { Ids = [] }, new() { Ids = [9] });
        var mapped = _ml.Transforms.Conversion.MapValueToKey("Ids").Fit(data).Transform(data);
        Assert.Equal([[1, 2, 1], [], [3]], mapped.GetColumn<uint[]>("Ids"));
        Assert.Equal(new VectorDataViewType(new KeyDataViewType(typeof(uint), 3)), mapped.Schema["Ids"].Type);
    }

    private class Vocabulary
    {
        public long Id { get; set; }
    }

    private class Both
    {
        public long Item { get; set; }
        public long[] History { get; set; } = [];
    }

    [Fact]
    public void KeyDataGivesSeveralColumnsTheSameKeys()
    {
        var data = _ml.Data.LoadFromEnumerable(new Both[] { new() { Item = 30, History = [10, 20, 99] } });
        var keys = _ml.Data.LoadFromEnumerable(new Vocabulary[] { new() { Id = 10 }, new() { Id = 20 }, new() { Id = 30 } });
        var pairs = new[] { new InputOutputColumnPair("Item"), new InputOutputColumnPair("History") };
        var mapped = _ml.Transforms.Conversion.MapValueToKey(pairs, keyData: keys).Fit(data).Transform(data);
        Assert.Equal([3], mapped.GetColumn<uint>("Item"));
        Assert.Equal([1, 2, 0], mapped.GetColumn<uint[]>("History").Single());
    }

    [Fact]
    public void KeyDataOfAnotherTypeOrOfSeveralColumnsIsRefused()
    {
        var data = Load(new Row { Word = "a" });
        var numbers = _ml.Data.LoadFromEnumerable(new Vocabulary[1]);
        Assert.Throws<ArgumentOutOfRangeException>(() => _ml.Transforms.Conversion.MapValueToKey("Word", keyData: numbers).Fit(data));
        Assert.Throws<ArgumentException>(() => _ml.Transforms.Conversion.MapValueToKey("Word", keyData: data));
    }

    [Fact]
    public void KeyValuesCanBeText()
    {
        var data = Load(new Row { Number = 2.5f });
        var mapped = _ml.Transforms.Conversion.MapValueToKey("Number", addKeyValueAnnotationsAsText: true).Fit(data).Transform(data);
        Assert.True(mapped.Schema["Number"].HasKeyValues());
        Assert.False(mapped.Schema["Number"].HasKeyValues(NumberDataViewType.Single));
    }

    [Fact]
    public void MappingBackGivesTheValuesAgain() => Prop.ForAll<int[], int[]>((first, second) =>
    {
        var rows = new[] { first, second }.Select(ids => new Row { Ids = Array.ConvertAll(ids, id => (long)id) }).ToArray();
        var data = Load(rows);
        var pipeline = _ml.Transforms.Conversion.MapValueToKey("Key", "Ids").Append(_ml.Transforms.Conversion.MapKeyToValue("Back", "Key"));
        if (first.Length + second.Length == 0)
            return true; // no values, no annotation of them
        return pipeline.Fit(data).Transform(data).GetColumn<long[]>("Back").Zip(rows)
            .All(pair => pair.First.SequenceEqual(pair.Second.Ids));
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void OnlyKeysWithValuesMapBack()
    {
        var data = Load(new Row());
        var error = Assert.Throws<ArgumentOutOfRangeException>(() => _ml.Transforms.Conversion.MapKeyToValue("Number").Fit(data));
        Assert.Contains("Schema mismatch for input column 'Number': expected key type, got Single", error.Message);
        Assert.Throws<ArgumentException>(() =>
            _ml.Transforms.Conversion.Hash("Word").Append(_ml.Transforms.Conversion.MapKeyToValue("Word")).Fit(data));
    }

    [Fact]
    public void AModelRefusesAColumnOfAnotherType()
    {
        var model = _ml.Transforms.Conversion.MapValueToKey("Id", "Word").Fit(Load(new Row { Word = "a" }));
        var other = _ml.Transforms.CopyColumns("Word", "Number").Fit(Load(new Row())).Transform(Load(new Row()));
        Assert.Contains("expected String, got Single", Assert.Throws<ArgumentOutOfRangeException>(() => model.Transform(other)).Message);
    }
}
