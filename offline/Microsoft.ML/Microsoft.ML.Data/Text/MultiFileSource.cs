using Microsoft.ML.Runtime;

namespace Microsoft.ML.Data;

/// <summary>Files, or other streams, one after the other.</summary>
public interface IMultiStreamSource
{
    int Count { get; }

    string GetPathOrNull(int index);

    Stream Open(int index);

    TextReader OpenTextReader(int index);
}

public sealed class MultiFileSource : IMultiStreamSource
{
    private readonly string[] _paths;

    public MultiFileSource(params string[] paths)
    {
        Contracts.CheckValue(null, paths, nameof(paths));
        foreach (string path in paths)
            Contracts.CheckNonEmpty(null, path, nameof(paths));
        _paths = paths;
    }

    public int Count => _paths.Length;

    public string GetPathOrNull(int index) => _paths[index];

    public Stream Open(int index) =>
        new FileStream(_paths[index], FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 16, FileOptions.SequentialScan);

    public TextReader OpenTextReader(int index) => new StreamReader(Open(index), bufferSize: 1 << 16);
}
