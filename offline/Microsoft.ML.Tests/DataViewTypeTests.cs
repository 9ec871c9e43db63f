using Microsoft.ML.Data;

namespace Microsoft.ML.Tests;

public class DataViewTypeTests
{
    [Fact]
    public void KeyAndVectorTypesAreEqualByContent()
    {
        Assert.Equal(new KeyDataViewType(typeof(uint), 5), new KeyDataViewType(typeof(uint), 5UL));
        Assert.NotEqual(new KeyDataViewType(typeof(uint), 5), new KeyDataViewType(typeof(uint), 6));
        Assert.Equal(new VectorDataViewType(NumberDataViewType.Single, 2, 3), new VectorDataViewType(NumberDataViewType.Single, 2, 3));
        Assert.NotEqual(new VectorDataViewType(NumberDataViewType.Single, 6), new VectorDataViewType(NumberDataViewType.Single, 2, 3));
    }

    [Theory]
    [InlineData(typeof(int), 5UL)]
    [InlineData(typeof(byte), 256UL)]
    [InlineData(typeof(uint), 0UL)]
    public void KeyTypesThatCannotBeAreRefused(Type type, ulong count) =>
        Assert.ThrowsAny<ArgumentException>(() => new KeyDataViewType(type, count));

    [Fact]
    public void TypesHaveTheNamesOfMLNet()
    {
        Assert.Equal("Single", NumberDataViewType.Single.ToString());
        Assert.Equal("String", TextDataViewType.Instance.ToString());
        Assert.Equal("Key<UInt32, 0-9>", new KeyDataViewType(typeof(uint), 10).ToString());
        Assert.Equal("Vector<Single, 2, 3>", new VectorDataViewType(NumberDataViewType.Single, 2, 3).ToString());
        Assert.Equal("VarVector<Int64>", new VectorDataViewType(NumberDataViewType.Int64).ToString());
    }

    [Fact]
    public void VectorsOfUnknownSizeHaveSizeZero()
    {
        Assert.False(new VectorDataViewType(NumberDataViewType.Single).IsKnownSize);
        Assert.Equal(6, new VectorDataViewType(NumberDataViewType.Single, 2, 3).Size);
        Assert.Equal(typeof(VBuffer<float>), new VectorDataViewType(NumberDataViewType.Single).RawType);
    }

    [Fact]
    public void TheLastOfTheColumnsOfOneNameIsFoundAndTheOthersAreHidden()
    {
        var builder = new DataViewSchema.Builder();
        builder.AddColumn("A", NumberDataViewType.Single);
        builder.AddColumn("A", TextDataViewType.Instance);
        var schema = builder.ToSchema();
        Assert.True(schema[0].IsHidden);
        Assert.Equal(1, schema["A"].Index);
        Assert.Null(schema.GetColumnOrNull("B"));
        Assert.Throws<ArgumentOutOfRangeException>(() => schema["B"]);
    }

    [Fact]
    public void AnnotationsAreReadInTheirTypeOnly()
    {
        var builder = new DataViewSchema.Annotations.Builder();
        builder.AddPrimitiveValue("IsNormalized", BooleanDataViewType.Instance, true);
        var annotations = builder.ToAnnotations();
        bool value = false;
        annotations.GetValue("IsNormalized", ref value);
        Assert.True(value);
        float wrong = 0;
        Assert.Throws<InvalidOperationException>(() => annotations.GetValue("IsNormalized", ref wrong));
        Assert.Throws<InvalidOperationException>(() => annotations.GetValue("Other", ref value));
        Assert.Throws<ArgumentException>(() => builder.Add("X", TextDataViewType.Instance, (ref float x) => x = 1));
    }

    [Fact]
    public void RowIdsDeriveIdsThatDiffer()
    {
        var ids = Enumerable.Range(1, 1000).Select(i => new DataViewRowId((ulong)i, 0)).ToArray();
        var derived = ids.Concat(ids.Select(id => id.Fork())).Concat(ids.Select(id => id.Next()))
            .Concat(ids.Select(id => id.Combine(ids[7])));
        Assert.Equal(4000, derived.Distinct().Count());
    }
}
