using System.IO.Compression;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Tests;

[assembly: LoadableClass(typeof(ITransformer), typeof(ModelFileTests.ThirdPartyTransformer), null, typeof(SignatureLoadModel),
    "Third party", "ThirdParty")]

namespace Microsoft.ML.Tests;

public class ModelFileTests
{
    private readonly MLContext _ml = new();

    private class Row
    {
        public string Word { get; set; } = "a";
        public long[] Ids { get; set; } = [1, 2];
        public DateTime Time { get; set; }
        [KeyType(5)] public uint Key { get; set; } = 2;
    }

    private IDataView Data => _ml.Data.LoadFromEnumerable(new Row[] { new(), new() { Word = "b", Ids = [] } });

    private MemoryStream Save(ITransformer model, DataViewSchema schema = null)
    {
        var stream = new MemoryStream();
        _ml.Model.Save(model, schema, stream);
        stream.Position = 0;
        return stream;
    }

    private static string Show(IDataView data) => string.Join("\n", data.Preview().RowView.Select(row =>
        string.Join(" ", row.Values.Select(pair => $"{pair.Key}={Show(pair.Value)}"))));

    private static string Show(object value) =>
        value is System.Collections.IEnumerable vector and not string ? $"[{string.Join(",", vector.Cast<object>())}]" : $"{value}";

    [Fact]
    public void EveryTransformerLoadsAsItWasSaved()
    {
        var model = _ml.Transforms.CopyColumns("Copy", "Word")
            .Append(_ml.Transforms.Concatenate("Words", "Word", "Copy"))
            .Append(_ml.Transforms.Conversion.MapValueToKey([new("WordKey", "Word"), new("IdKeys", "Ids"), new("TimeKey", "Time"),
                new("KeyKey", "Key")]))
            .Append(_ml.Transforms.Conversion.MapKeyToValue("Back", "WordKey"))
            .Append(_ml.Transforms.Conversion.Hash("Hash", "Ids", numberOfBits: 8))
            .Append(_ml.Transforms.Conversion.ConvertType("Number", "Key"))
            .Append(_ml.Transforms.DropColumns("Copy"))
            .Append(_ml.Transforms.SelectColumns(["Hash", "Back", "Number", "IdKeys", "TimeKey", "KeyKey", "Word"], keepHidden: true))
            .Fit(Data);
        var loaded = new MLContext().Model.Load(Save(model, Data.Schema), out var schema);
        Assert.Equal(Show(model.Transform(Data)), Show(loaded.Transform(Data)));
        Assert.Equal(model.GetOutputSchema(Data.Schema).ToString(), loaded.GetOutputSchema(Data.Schema).ToString());
        Assert.Equal(Data.Schema.ToString(), schema.ToString());
    }

    [Fact]
    public void SchemasKeepTheirAnnotations()
    {
        var data = _ml.Transforms.Conversion.MapValueToKey("Word").Fit(Data).Transform(Data);
        _ml.Model.Load(Save(_ml.Transforms.CopyColumns("X", "Word").Fit(data), data.Schema), out var schema);
        VBuffer<ReadOnlyMemory<char>> values = default;
        schema["Word"].GetKeyValues(ref values);
        Assert.Equal(["a", "b"], values.DenseValues().Select(value => value.ToString()));
    }

    [Fact]
    public void AModelWithoutASchemaLoadsWithoutOne()
    {
        _ml.Model.Load(Save(_ml.Transforms.CopyColumns("X", "Word").Fit(Data)), out var schema);
        Assert.Null(schema);
    }

    [Fact]
    public void TheZipHasTheLayoutOfMLNet()
    {
        var copy = _ml.Transforms.CopyColumns("X", "Word").Fit(Data);
        var chain = new TransformerChain<ITransformer>(new ThirdPartyTransformer("text", [1, 2]), copy);
        using var zip = new ZipArchive(Save(chain, Data.Schema));
        Assert.Equal(
            [
                "TrainingInfo/Version.txt",
                "TransformerChain/Transform_000/note.txt",
                "TransformerChain/Transform_000/numbers.bin",
                "TransformerChain/Transform_000/Model.key",
                "TransformerChain/Transform_001/Model.key",
                "TransformerChain/Model.key",
                "Schema",
            ],
            zip.Entries.Select(entry => entry.FullName));
        using var key = new BinaryReader(zip.GetEntry("TransformerChain/Transform_000/Model.key").Open());
        byte[] header = key.ReadBytes(0x100);
        Assert.Equal("ML\0MODEL", System.Text.Encoding.ASCII.GetString(header, 0, 8));
        Assert.Equal("THIRDPTY", System.Text.Encoding.ASCII.GetString(header, 0x40, 8));
        Assert.Equal("ThirdParty", System.Text.Encoding.ASCII.GetString(header, 0x50, 24).TrimEnd('\0'));
    }

    [Fact]
    public void LoadersOfOtherAssembliesAreFoundByTheNameInTheFile()
    {
        var loaded = new MLContext().Model.Load(Save(new ThirdPartyTransformer("some text", [3, 4])), out _);
        Assert.Equal("some text", Assert.IsType<ThirdPartyTransformer>(loaded).Note);
        Assert.Equal([3, 4], ((ThirdPartyTransformer)loaded).Numbers);
    }

    [Fact]
    public void ModelsThatAreTooNewOrOfAnotherKindAreRefused()
    {
        var tooNew = Assert.Throws<InvalidOperationException>(() =>
            _ml.Model.Load(Save(new ThirdPartyTransformer("", []) { Version = 0x00010009 }), out _));
        Assert.Contains("too new", Assert.IsType<FormatException>(tooNew.GetBaseException()).Message);
        var other = Assert.Throws<InvalidOperationException>(() =>
            _ml.Model.Load(Save(new ThirdPartyTransformer("", []) { Signature = "ANOTHER " }), out _));
        Assert.Contains("Unknown file type", Assert.IsType<FormatException>(other.GetBaseException()).Message);
        var unknown = Assert.Throws<FormatException>(() =>
            _ml.Model.Load(Save(new ThirdPartyTransformer("", []) { Loader = "Nobody" }), out _));
        Assert.Contains("Nobody", unknown.Message);
    }

    [Fact]
    public void FilesThatAreNoModelsAreRefused()
    {
        Assert.Throws<FormatException>(() => _ml.Model.Load(new MemoryStream([1, 2, 3]), out _));
        var stream = new MemoryStream();
        using (var zip = new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen: true))
            zip.CreateEntry("Other");
        Assert.Throws<FormatException>(() => _ml.Model.Load(stream, out _));
    }

    [Fact]
    public void WhatAFailureCutShortCannotBeLoaded()
    {
        var random = new Random(1);
        var model = new ThirdPartyTransformer("", [.. Enumerable.Range(0, 100_000).Select(_ => random.NextDouble())]);
        var whole = Save(model, Data.Schema);
        var cut = new FullDisk(whole.Length / 2);
        Assert.Throws<IOException>(() => _ml.Model.Save(model, Data.Schema, cut));
        Assert.Throws<FormatException>(() => _ml.Model.Load(new MemoryStream(cut.ToArray()), out _));
    }

    [Fact]
    public void TemporaryFilesAreGoneAfterwards()
    {
        string folder = Directory.CreateTempSubdirectory().FullName;
        _ml.TempFilePath = folder;
        _ml.Model.Load(Save(new ThirdPartyTransformer("x", [1]), Data.Schema), out _);
        Assert.Empty(Directory.GetFileSystemEntries(folder));
        Directory.Delete(folder);
    }

    [Theory]
    [InlineData("SHORT", null)]
    [InlineData("EIGHTCHR", "A loader signature of 25.")]
    public void SignaturesHaveTheirSizes(string model, string loader) =>
        Assert.Throws<ArgumentException>(() => new VersionInfo(model, 1, 1, 1, "Assembly", loader));

    private class FullDisk(long capacity) : MemoryStream
    {
        public override void Write(byte[] buffer, int offset, int count)
        {
            if (Length + count > capacity)
                throw new IOException("No space left on device");
            base.Write(buffer, offset, count);
        }
    }

    internal sealed class ThirdPartyTransformer(string note, double[] numbers) : ITransformer
    {
        public string Note => note;
        public double[] Numbers => numbers;
        public uint Version { get; init; } = 0x00010001;
        public string Signature { get; init; } = "THIRDPTY";
        public string Loader { get; init; } = "ThirdParty";

        private VersionInfo GetVersion() =>
            new(Signature, Version, Version, 0x00010001, typeof(ThirdPartyTransformer).Assembly.GetName().Name, Loader);

        private static ITransformer Create(IHostEnvironment env, ModelLoadContext ctx)
        {
            ctx.CheckAtModel(new ThirdPartyTransformer(null, null).GetVersion());
            string note = null;
            double[] numbers = null;
            Assert.True(ctx.TryLoadTextStream("note.txt", reader => note = reader.ReadToEnd()));
            Assert.True(ctx.TryLoadBinaryStream("numbers.bin", reader =>
            {
                numbers = new double[reader.ReadInt32()];
                for (int i = 0; i < numbers.Length; i++)
                    numbers[i] = reader.ReadDouble();
            }));
            Assert.False(ctx.TryLoadBinaryStream("absent", _ => { }));
            return new ThirdPartyTransformer(note, numbers);
        }

        void ICanSaveModel.Save(ModelSaveContext ctx)
        {
            ctx.CheckAtModel();
            ctx.SetVersionInfo(GetVersion());
            ctx.SaveTextStream("note.txt", writer => writer.Write(note));
            ctx.SaveBinaryStream("numbers.bin", writer =>
            {
                writer.Write(numbers.Length);
                foreach (double number in numbers)
                    writer.Write(number);
            });
        }

        public bool IsRowToRowMapper => true;

        public DataViewSchema GetOutputSchema(DataViewSchema inputSchema) => inputSchema;

        public IRowToRowMapper GetRowToRowMapper(DataViewSchema inputSchema) => throw new NotSupportedException();

        public IDataView Transform(IDataView input) => input;
    }
}
