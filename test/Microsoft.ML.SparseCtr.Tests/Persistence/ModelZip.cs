using System.IO.Compression;
using System.Text;

namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>A saved model, in a file of its own until it is disposed.</summary>
internal sealed class ModelZip : IDisposable
{
    private readonly MLContext _mlContext;

    public ModelZip(MLContext mlContext, ITransformer model, DataViewSchema schema)
    {
        _mlContext = mlContext;
        mlContext.Model.Save(model, schema, Path);
    }

    public string Path { get; } = System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"{Guid.NewGuid():N}.zip");

    public long Length => new FileInfo(Path).Length;

    public void Dispose() => File.Delete(Path);

    public ITransformer Load() => _mlContext.Model.Load(Path, out _);

    /// <summary>Spoils the file; loading it then is a FormatException with the message.</summary>
    public void AssertRefused(string message, Action<ZipArchive> spoil)
    {
        using (ZipArchive zip = ZipFile.Open(Path, ZipArchiveMode.Update))
            spoil(zip);
        // ML.NET may wrap what a loader throws.
        var problems = new List<Exception>();
        for (Exception? thrown = Assert.ThrowsAny<Exception>(Load); thrown is not null; thrown = thrown.InnerException)
            problems.Add(thrown);
        Assert.Contains(problems.OfType<FormatException>(), problem => problem.Message.Contains(message));
    }

    public static ZipArchiveEntry Entry(ZipArchive zip, string name) => zip.Entries.Single(entry => entry.FullName.EndsWith(name, StringComparison.Ordinal));

    public static Action<ZipArchive> EditText(string name, Func<string, string> edit) => Edit(name, bytes => Encoding.UTF8.GetBytes(edit(Encoding.UTF8.GetString(bytes))));

    public static Action<ZipArchive> Edit(string name, Func<byte[], byte[]> edit) => zip =>
    {
        ZipArchiveEntry entry = Entry(zip, name);
        using var content = new MemoryStream();
        using (Stream stream = entry.Open())
            stream.CopyTo(content);
        byte[] edited = edit(content.ToArray());
        Assert.NotEqual(content.ToArray(), edited);
        string fullName = entry.FullName;
        entry.Delete();
        using Stream target = zip.CreateEntry(fullName).Open();
        target.Write(edited);
    };
}
