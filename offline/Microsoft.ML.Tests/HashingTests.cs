using Microsoft.ML.Data;

namespace Microsoft.ML.Tests;

/// <summary>The expected hashes of 10 bits are those of ML.NET.</summary>
public class HashingTests
{
    private readonly MLContext _ml = new();

    private class Row<T>
    {
        public T Value { get; set; }
        public T[] Values { get; set; }
    }

    private uint Hash<T>(T value)
    {
        var data = _ml.Data.LoadFromEnumerable(new Row<T>[] { new() { Value = value, Values = [value, value] } });
        var pipeline = _ml.Transforms.Conversion.Hash("Value", numberOfBits: 10)
            .Append(_ml.Transforms.Conversion.Hash("Values", numberOfBits: 10));
        var hashed = pipeline.Fit(data).Transform(data);
        uint result = hashed.GetColumn<uint>("Value").Single();
        Assert.Equal([result, result], hashed.GetColumn<uint[]>("Values").Single());
        Assert.Equal(new KeyDataViewType(typeof(uint), 1024), hashed.Schema["Value"].Type);
        return result;
    }

    [Theory]
    [InlineData(0, 842, 512)]
    [InlineData(1, 502, 329)]
    [InlineData(2, 407, 484)]
    public void IntegersHashByTheirSize(byte value, uint expected32, uint expected64)
    {
        Assert.Equal(expected32, Hash(value));
        Assert.Equal(expected32, Hash((sbyte)value));
        Assert.Equal(expected32, Hash((short)value));
        Assert.Equal(expected32, Hash((ushort)value));
        Assert.Equal(expected32, Hash((int)value));
        Assert.Equal(expected32, Hash((uint)value));
        Assert.Equal(expected64, Hash((long)value));
        Assert.Equal(expected64, Hash((ulong)value));
    }

    [Fact]
    public void OtherTypesHashLikeTheirBits()
    {
        Assert.Equal(842u, Hash(false));
        Assert.Equal(502u, Hash(true));
        Assert.Equal(463u, Hash(1f));
        Assert.Equal(252u, Hash(-1f));
        Assert.Equal(188u, Hash(1d));
        Assert.Equal(885u, Hash(-1d));
        Assert.Equal(512u, Hash(0d));
        Assert.Equal(842u, Hash(-0f));
        Assert.Equal(940u, Hash("hello"));
        Assert.Equal(362u, Hash(new DataViewRowId(0, 0)));
        Assert.Equal(712u, Hash(new DataViewRowId(1294, 0)));
    }

    [Fact]
    public void MissingValuesHaveKeyZero()
    {
        Assert.Equal(0u, Hash(float.NaN));
        Assert.Equal(0u, Hash(double.NaN));
        Assert.Equal(0u, Hash(""));
    }

    private class Keyed
    {
        [KeyType(5)] public uint Key { get; set; }
    }

    [Fact]
    public void TheMissingKeyStaysMissing()
    {
        var data = _ml.Data.LoadFromEnumerable(new Keyed[] { new() { Key = 0 }, new() { Key = 1 } });
        var hashed = _ml.Transforms.Conversion.Hash("Key", numberOfBits: 10).Fit(data).Transform(data);
        Assert.Equal([0, 502], hashed.GetColumn<uint>("Key"));
    }

    [Fact]
    public void ThirtyOneBitsAreTheDefaultAndTheMost()
    {
        var data = _ml.Data.LoadFromEnumerable(new Keyed[] { new() });
        Assert.Equal(new KeyDataViewType(typeof(uint), 1UL << 31), _ml.Transforms.Conversion.Hash("Key").Fit(data)
            .GetOutputSchema(data.Schema)["Key"].Type);
        Assert.Throws<ArgumentOutOfRangeException>(() => _ml.Transforms.Conversion.Hash("Key", numberOfBits: 32));
    }
}
