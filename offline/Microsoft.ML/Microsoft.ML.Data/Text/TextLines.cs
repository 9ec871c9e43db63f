using System.Buffers;
using System.Text;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Data;

/// <summary>The lines of files, split into fields. Empty lines are skipped, as are comments and headers at the top of each file.</summary>
internal sealed class TextLines(IMultiStreamSource files, TextLoader.Options options, bool skipHeader) : IDisposable
{
    private readonly SearchValues<char> _separators = SearchValues.Create(options.Separators);
    private readonly bool _skipsLeadingSpaces = !options.Separators.Contains(' ');
    private readonly List<ReadOnlyMemory<char>> _fields = [];
    private TextReader _reader;
    private int _fileCount;
    private long _lineNumber;
    private bool _isAtTop;

    /// <summary>The fields of the present line.</summary>
    public IReadOnlyList<ReadOnlyMemory<char>> Fields => _fields;

    /// <summary>Where the present line stands.</summary>
    public string Location =>
        $"line {_lineNumber} of {(files.GetPathOrNull(_fileCount - 1) is { } path ? $"file '{path}'" : $"source {_fileCount - 1}")}";

    public bool MoveNext()
    {
        while (true)
        {
            string line = _reader?.ReadLine();
            if (line is null)
            {
                if (!OpenNext())
                    return false;
                continue;
            }
            _lineNumber++;
            if (line.Length == 0 || (_isAtTop && (line[0] == '#' || line.StartsWith("//", StringComparison.Ordinal))))
                continue;
            bool isHeader = _isAtTop && skipHeader;
            _isAtTop = false;
            if (isHeader)
                continue;
            Split(line.AsMemory());
            return true;
        }
    }

    public void Dispose() => _reader?.Dispose();

    private bool OpenNext()
    {
        _reader?.Dispose();
        _reader = null;
        if (_fileCount == files.Count)
            return false;
        _reader = files.OpenTextReader(_fileCount++);
        _lineNumber = 0;
        _isAtTop = true;
        return true;
    }

    private void Split(ReadOnlyMemory<char> rest)
    {
        _fields.Clear();
        bool hasMore = true;
        while (hasMore)
        {
            if (_skipsLeadingSpaces)
                rest = rest.TrimStart(' ');
            string unquoted = options.AllowQuoting && rest.Span.StartsWith('"') ? Unquote(ref rest) : null;
            int end = rest.Span.IndexOfAny(_separators);
            hasMore = end >= 0;
            var field = unquoted?.AsMemory() ?? (hasMore ? rest[..end] : rest);
            _fields.Add(options.TrimWhitespace ? field.TrimEnd(' ') : field);
            rest = hasMore ? rest[(end + 1)..] : default;
        }
    }

    /// <summary>Takes a quoted field off <paramref name="rest"/>, which starts with the opening quote.</summary>
    private string Unquote(ref ReadOnlyMemory<char> rest)
    {
        var text = rest.Span;
        var field = new StringBuilder();
        int start = 1;
        while (true)
        {
            int length = text[start..].IndexOf('"');
            if (length < 0)
                throw Contracts.ExceptDecode(null, "Quoted field {0} in {1} has no closing quote", _fields.Count, Location);
            field.Append(text.Slice(start, length));
            start += length + 1;
            if (start == text.Length || text[start] != '"')
                break;
            field.Append('"');
            start++;
        }
        rest = rest[start..];
        return field.ToString();
    }
}
