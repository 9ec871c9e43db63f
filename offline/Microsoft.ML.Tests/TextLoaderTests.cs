using Microsoft.ML.Data;

namespace Microsoft.ML.Tests;

public sealed class TextLoaderTests : IDisposable
{
    private readonly MLContext _ml = new();
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;
    private int _fileCount;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string Write(string text)
    {
        string path = Path.Combine(_folder, $"{_fileCount++}.tsv");
        File.WriteAllText(path, text);
        return path;
    }

    private class Row
    {
        [LoadColumn(0)] public bool Label { get; set; }
        [LoadColumn(1)] public string Text { get; set; }
        [LoadColumn(2, 4)] [ColumnName("Numbers")] public float[] Vector { get; set; }
        [LoadColumn(5)] [KeyType(3)] public uint Key { get; set; }
        [LoadColumn([1, 6])] public string[] Texts { get; set; }
        [LoadColumn(7)] public DateTime Time { get; set; }
        public int NotLoaded { get; set; }
    }

    [Fact]
    public void ClassesSayWhatIsLoaded()
    {
        string path = Write("1\tone\t1.5\t-2\t3e2\t2\tsix\t2026-01-02\n");
        var data = _ml.Data.LoadFromTextFile<Row>(path);
        Assert.Equal("Vector<Single, 3>", data.Schema["Numbers"].Type.ToString());
        Assert.Equal("Key<UInt32, 0-2>", data.Schema["Key"].Type.ToString());
        Assert.Null(data.Schema.GetColumnOrNull("NotLoaded"));
        var row = _ml.Data.CreateEnumerable<Row>(data, false, ignoreMissingColumns: true).Single();
        Assert.True(row.Label);
        Assert.Equal("one", row.Text);
        Assert.Equal([1.5f, -2, 300], row.Vector);
        Assert.Equal(3u, row.Key);
        Assert.Equal(["one", "six"], row.Texts);
        Assert.Equal(new DateTime(2026, 1, 2), row.Time);
    }

    private T[] Load<T>(string text, DataKind kind, TextLoader.Options options = null, KeyCount keyCount = null)
    {
        options ??= new TextLoader.Options();
        options.Columns = [new("X", kind, [new TextLoader.Range(0)], keyCount)];
        return [.. _ml.Data.LoadFromTextFile(Write(text), options).GetColumn<T>("X")];
    }

    [Fact]
    public void BooleansAreWrittenInManyWays() =>
        Assert.Equal([true, true, true, true, false, false, false, false],
            Load<bool>("1\ntrue\nTRUE\nyes\n0\nfalse\nNo\n-1", DataKind.Boolean));

    [Fact]
    public void KeysAreNumbersFromZeroAndOthersAreMissing() =>
        Assert.Equal([1, 3, 0, 0], Load<uint>("0\n2\n3\n\t1", DataKind.UInt32, keyCount: new KeyCount(3)));

    [Fact]
    public void EmptyRealsAreZeroUnlessAskedToBeNaN()
    {
        Assert.Equal([0, 1, float.NaN], Load<float>("\t2\n1\n?", DataKind.Single));
        Assert.Equal([float.NaN], Load<float>("\t2", DataKind.Single, new() { MissingRealsAsNaNs = true }));
    }

    [Fact]
    public void FieldsThatALineLacksAreEmpty()
    {
        var data = _ml.Data.LoadFromTextFile(Write("a\t1\nb"),
            [new("T", DataKind.String, 0), new("X", DataKind.Int32, 1), new("V", DataKind.Single, 1, 2)]);
        Assert.Equal([1, 0], data.GetColumn<int>("X"));
        Assert.Equal([[1, 0], [0, 0]], data.GetColumn<float[]>("V"));
    }

    [Fact]
    public void QuotedFieldsMayHoldSeparatorsAndQuotes()
    {
        var options = new TextLoader.Options { AllowQuoting = true, Separators = [','] };
        Assert.Equal(["a,b", "say \"hi\"", "", "plain"],
            Load<string>("\"a,b\",x\n\"say \"\"hi\"\"\"\n\"\",y\nplain", DataKind.String, options));
        Assert.Equal(["\"a"], Load<string>("\"a,b\"", DataKind.String, new() { Separators = [','] }));
        var error = Assert.Throws<FormatException>(() => Load<string>("\"open", DataKind.String, new() { AllowQuoting = true }));
        Assert.Contains("line 1", error.Message);
    }

    [Fact]
    public void SpacesAreTrimmedOnDemand()
    {
        Assert.Equal(["a "], Load<string>(" a \t1", DataKind.String));
        Assert.Equal(["a"], Load<string>(" a \t1", DataKind.String, new() { TrimWhitespace = true }));
    }

    [Fact]
    public void HeadersCommentsAndEmptyLinesAreSkipped()
    {
        Assert.Equal([5, 6], Load<int>("#@ comment\nName\n5\n\n6\n", DataKind.Int32, new() { HasHeader = true }));
        Assert.Equal([5], Load<int>("5\n6", DataKind.Int32, new() { MaxRows = 1 }));
    }

    [Fact]
    public void HeadersNameTheSlotsOfVectors()
    {
        var data = _ml.Data.LoadFromTextFile(Write("a\tb\tc\n1\t2\t3"), [new("V", DataKind.Single, 1, 2)], hasHeader: true);
        VBuffer<ReadOnlyMemory<char>> names = default;
        data.Schema["V"].GetSlotNames(ref names);
        Assert.Equal(["b", "c"], names.DenseValues().Select(name => name.ToString()));
    }

    [Fact]
    public void RangesEndWhereEachLineOrTheFirstLineDoes()
    {
        var columns = new TextLoader.Column[]
        {
            new("Variable", DataKind.Int32, [new TextLoader.Range { Min = 1, VariableEnd = true }]),
            new("Fixed", DataKind.Int32, [new TextLoader.Range(1, null)]),
        };
        var data = _ml.Data.LoadFromTextFile(Write("a\t1\t2\nb\nc\t3\t4\t5"), columns);
        Assert.Equal([[1, 2], [], [3, 4, 5]], data.GetColumn<int[]>("Variable"));
        Assert.Equal([[1, 2], [0, 0], [3, 4]], data.GetColumn<int[]>("Fixed"));
        Assert.False(((VectorDataViewType)data.Schema["Variable"].Type).IsKnownSize);
        Assert.Equal(2, ((VectorDataViewType)data.Schema["Fixed"].Type).Size);
    }

    [Fact]
    public void ARangeOfOneFieldIsAScalarUnlessForcedToBeAVector()
    {
        var columns = new TextLoader.Column[]
        {
            new("Scalar", DataKind.Int32, [new TextLoader.Range { Min = 1 }]),
            new("Vector", DataKind.Int32, [new TextLoader.Range(1) { ForceVector = true }]),
        };
        var data = _ml.Data.LoadFromTextFile(Write("a\t7"), columns);
        Assert.Equal([7], data.GetColumn<int>("Scalar"));
        Assert.Equal([[7]], data.GetColumn<int[]>("Vector"));
    }

    [Fact]
    public void FilesAreLoadedOneAfterTheOther()
    {
        var loader = _ml.Data.CreateTextLoader([new("X", DataKind.Int32, 0)], hasHeader: true);
        Assert.Equal([1, 2, 3], loader.Load(Write("X\n1\n2"), Write("X\n3")).GetColumn<int>("X"));
    }

    [Fact]
    public void ErrorsNameFileLineAndColumn()
    {
        var loader = _ml.Data.CreateTextLoader([new("Price", DataKind.Single, 1)]);
        string good = Write("a\t1"), bad = Write("b\t2\nc\tmuch");
        var error = Assert.Throws<FormatException>(() => loader.Load(good, bad).GetColumn<float>("Price").ToList());
        Assert.Contains($"Could not parse value much in line 2 of file '{bad}', column Price", error.Message);
    }

    [Fact]
    public void FilesThatAreMissingAreNamed()
    {
        string path = Path.Combine(_folder, "nope.tsv");
        Assert.Contains(path, Assert.Throws<ArgumentOutOfRangeException>(() => _ml.Data.LoadFromTextFile<Row>(path)).Message);
    }

    [Fact]
    public void NothingIsReadBeforeACursorIs()
    {
        string path = Write("1");
        var data = _ml.Data.LoadFromTextFile(path, [new("X", DataKind.Int32, 0)]);
        File.WriteAllText(path, "2");
        Assert.Equal([2], data.GetColumn<int>("X"));
    }
}
