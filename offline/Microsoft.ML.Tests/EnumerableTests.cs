using Microsoft.ML.Data;

namespace Microsoft.ML.Tests;

public class EnumerableTests
{
    private readonly MLContext _ml = new();

    private class AllTypes
    {
        public bool Flag;
        public sbyte Int8 { get; set; }
        public byte UInt8 { get; set; }
        public short Int16;
        public ushort UInt16;
        public int Int32;
        public uint UInt32;
        public long Int64;
        public ulong UInt64;
        public float Single;
        public double Double;
        public string Text;
        public ReadOnlyMemory<char> Chars;
        public DateTime Time;
        public DateTimeOffset Zoned;
        public TimeSpan Span;
        public DataViewRowId Id;
        public float[] Variable;
        [VectorType(2)] public string[] Pair;
        public VBuffer<long> Vector;
        [KeyType(10)] public uint Key;
        [KeyType] public byte[] Keys;
        [ColumnName("Renamed")] public int Named { get; set; }
        [NoColumn] public object Ignored { get; set; }
    }

    private static AllTypes Example() => new()
    {
        Flag = true, Int8 = -1, UInt8 = 200, Int16 = -300, UInt16 = 60000, Int32 = -70000, UInt32 = 4000000000, Int64 = long.MinValue,
        UInt64 = ulong.MaxValue, Single = 1.5f, Double = 2.5, Text = "text", Chars = "chars".AsMemory(), Time = new DateTime(2026, 1, 2),
        Zoned = new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.FromHours(2)), Span = TimeSpan.FromSeconds(7),
        Id = new DataViewRowId(1, 2),
        Variable = [1, 2, 3], Pair = ["a", "b"], Vector = new VBuffer<long>(2, [5, 6]), Key = 3, Keys = [1, 2], Named = 8,
    };

    [Fact]
    public void MembersOfEveryTypeRoundTrip()
    {
        var expected = Example();
        var data = _ml.Data.LoadFromEnumerable([expected]);
        var actual = _ml.Data.CreateEnumerable<AllTypes>(data, reuseRowObject: false).Single();
        foreach (var field in typeof(AllTypes).GetFields().Where(field => !field.FieldType.Name.Contains('`')))
            Assert.Equal(field.GetValue(expected), field.GetValue(actual));
        Assert.Equal(expected.Named, actual.Named);
        Assert.Equal(expected.UInt8, actual.UInt8);
        Assert.Equal("chars", actual.Chars.ToString());
        Assert.Equal(expected.Vector.DenseValues(), actual.Vector.DenseValues());
    }

    [Fact]
    public void AttributesGiveNamesAndTypes()
    {
        var schema = _ml.Data.LoadFromEnumerable([Example()]).Schema;
        Assert.Equal("Vector<String, 2>", schema["Pair"].Type.ToString());
        Assert.Equal("VarVector<Single>", schema["Variable"].Type.ToString());
        Assert.Equal("Key<UInt32, 0-9>", schema["Key"].Type.ToString());
        Assert.Equal(new VectorDataViewType(new KeyDataViewType(typeof(byte), 255)), schema["Keys"].Type);
        Assert.Equal("Int32", schema["Renamed"].Type.ToString());
        Assert.Null(schema.GetColumnOrNull("Ignored"));
        Assert.Null(schema.GetColumnOrNull("Named"));
    }

    [Fact]
    public void NullTextAndNullArraysAreEmpty()
    {
        var data = _ml.Data.LoadFromEnumerable([new AllTypes()]);
        Assert.Equal("", data.GetColumn<string>("Text").Single());
        Assert.Empty(data.GetColumn<float[]>("Variable").Single());
    }

    private class Row
    {
        public int Number { get; set; }
    }

    [Fact]
    public void OnlyListsHaveARowCountAndCanShuffle()
    {
        var list = _ml.Data.LoadFromEnumerable(new List<Row> { new(), new() });
        var sequence = _ml.Data.LoadFromEnumerable(Enumerable.Range(0, 2).Select(i => new Row()));
        Assert.Equal(2, list.GetRowCount());
        Assert.True(list.CanShuffle);
        Assert.Null(sequence.GetRowCount());
        Assert.False(sequence.CanShuffle);
    }

    [Fact]
    public void SequencesAreEnumeratedOnlyByCursors()
    {
        int enumerated = 0;
        var data = _ml.Data.LoadFromEnumerable(Enumerable.Range(0, 3).Select(i => new Row { Number = enumerated++ }));
        Assert.Equal(0, enumerated);
        using var cursor = data.GetRowCursor([]);
        cursor.MoveNext();
        Assert.Equal(1, enumerated);
    }

    [Fact]
    public void ARowObjectIsReusedOnlyOnDemand()
    {
        var data = _ml.Data.LoadFromEnumerable(new List<Row> { new() { Number = 1 }, new() { Number = 2 } });
        Assert.Single(_ml.Data.CreateEnumerable<Row>(data, reuseRowObject: true).Distinct());
        Assert.Equal([1, 2], _ml.Data.CreateEnumerable<Row>(data, reuseRowObject: false).ToList().Select(row => row.Number));
    }

    private class RowAndMore : Row
    {
        public float More { get; set; } = 5;
    }

    [Fact]
    public void MissingColumnsAreAnErrorUnlessIgnored()
    {
        var data = _ml.Data.LoadFromEnumerable(new List<Row> { new() { Number = 1 } });
        var error = Assert.Throws<ArgumentOutOfRangeException>(() => _ml.Data.CreateEnumerable<RowAndMore>(data, false).ToList());
        Assert.Contains("'More'", error.Message);
        Assert.Equal(5, _ml.Data.CreateEnumerable<RowAndMore>(data, false, ignoreMissingColumns: true).Single().More);
    }

    private class WrongRow
    {
        public float Number { get; set; }
    }

    private class UnknownType
    {
        public Uri Link { get; set; }
    }

    [Fact]
    public void TypesThatDoNotFitAreNamed()
    {
        var data = _ml.Data.LoadFromEnumerable(new List<Row> { new() });
        Assert.Contains("Can't bind the IDataView column 'Number' of type 'Int32'",
            Assert.Throws<InvalidOperationException>(() => _ml.Data.CreateEnumerable<WrongRow>(data, false).ToList()).Message);
        Assert.Contains("member Link", Assert.Throws<ArgumentOutOfRangeException>(() => _ml.Data.LoadFromEnumerable(new UnknownType[1]))
            .Message);
    }

    [Fact]
    public void DefinitionsChangeNamesTypesAndAnnotations()
    {
        var definition = SchemaDefinition.Create(typeof(AllTypes));
        definition["Variable"].ColumnType = new VectorDataViewType(NumberDataViewType.Single, 3);
        definition["Single"].ColumnName = "Other";
        definition["Flag"].AddAnnotation("IsNormalized", true, BooleanDataViewType.Instance);
        var data = _ml.Data.LoadFromEnumerable([Example()], definition);
        Assert.Equal(3, ((VectorDataViewType)data.Schema["Variable"].Type).Size);
        Assert.Equal(1.5f, data.GetColumn<float>("Other").Single());
        Assert.True(data.Schema["Flag"].IsNormalized());
    }

    [Fact]
    public void AnonymousObjectsAreRows() =>
        Assert.Equal(["x", "y"], _ml.Data.LoadFromEnumerable(new[] { new { Name = "x" }, new { Name = "y" } }).GetColumn<string>("Name"));
}
