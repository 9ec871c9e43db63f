using System.IO.Compression;
using Microsoft.ML.Runtime;

namespace Microsoft.ML;

/// <summary>
/// The entries of a model file go through temporary files: components may seek in them, and one may be open inside another.
/// </summary>
internal abstract class Repository(IHostEnvironment env)
{
    /// <summary>A new temporary file that is gone once it is closed.</summary>
    public FileStream CreateTempFile()
    {
        string folder = (env as IHostEnvironmentInternal)?.TempFilePath ?? Path.GetTempPath();
        string path = Path.Combine(folder, $"ml_dotnet_{Path.GetRandomFileName()}");
        return new FileStream(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, 1 << 16, FileOptions.DeleteOnClose);
    }

    /// <summary>The path of an entry, which is always written with slashes.</summary>
    protected static string EntryPath(string folder, string name) => string.IsNullOrEmpty(folder) ? name : $"{folder}/{name}";
}

/// <summary>Writes a model file. Without <see cref="Commit"/> what was written lacks the zip's directory, and cannot be opened.</summary>
internal sealed class RepositoryWriter(IHostEnvironment env, Stream stream) : Repository(env)
{
    private readonly ZipArchive _archive = new(stream, ZipArchiveMode.Create, leaveOpen: true);
    private readonly HashSet<string> _paths = [];

    /// <summary>Adds the content that <paramref name="write"/> writes.</summary>
    public void AddEntry(string folder, string name, Action<Stream> write)
    {
        using var content = CreateTempFile();
        write(content);
        AddEntry(folder, name, content);
    }

    public void AddEntry(string folder, string name, Stream content)
    {
        string path = EntryPath(folder, name);
        if (!_paths.Add(path))
            throw Contracts.ExceptParam(null, nameof(name), $"Duplicate entry: '{path}'");
        content.Position = 0;
        using var entry = _archive.CreateEntry(path).Open();
        content.CopyTo(entry);
    }

    public void Commit() => _archive.Dispose();
}

/// <summary>Reads a model file.</summary>
internal sealed class RepositoryReader : Repository, IDisposable
{
    private readonly ZipArchive _archive;
    private readonly Dictionary<string, ZipArchiveEntry> _entries = [];

    public RepositoryReader(IHostEnvironment env, Stream stream) : base(env)
    {
        try
        {
            _archive = new ZipArchive(stream, ZipArchiveMode.Read, leaveOpen: true);
            foreach (var entry in _archive.Entries)
                _entries[entry.FullName.Replace('\\', '/')] = entry;
        }
        catch (InvalidDataException e)
        {
            throw env.ExceptDecode(e, "Failed to open a zip archive");
        }
    }

    /// <summary>The entry in a temporary file, which the caller closes; null if there is none.</summary>
    public Stream OpenEntryOrNull(string folder, string name)
    {
        if (!_entries.TryGetValue(EntryPath(folder, name), out var entry))
            return null;
        var content = CreateTempFile();
        try
        {
            using var packed = entry.Open();
            packed.CopyTo(content);
            content.Position = 0;
            return content;
        }
        catch
        {
            content.Dispose();
            throw;
        }
    }

    public void Dispose() => _archive.Dispose();
}
