using System.Runtime.InteropServices;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Microsoft.ML.SparseCtr.Benchmarks;

/// <summary>
/// The results so far, a line of JSON each, and beside them the scores that they were measured on. A process that is killed loses no more than
/// the experiment that it was at. Processes may share a log: each takes experiments that no other is at.
/// </summary>
internal sealed class ResultLog
{
    // The file is for no web page: its text may be as it is.
    private static readonly JsonSerializerOptions s_json = new(JsonSerializerDefaults.Web) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly string _path, _scoresFolder;
    private readonly Dictionary<string, Result> _results = [];

    public ResultLog(string path, string scoresFolder)
    {
        (_path, _scoresFolder) = (path, scoresFolder);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        Directory.CreateDirectory(scoresFolder);
    }

    /// <summary>Takes in what other processes have found since.</summary>
    public void Refresh()
    {
        using FileStream turn = WaitForTurn();
        using FileStream file = new(_path, FileMode.OpenOrCreate);
        var bytes = new byte[file.Length];
        file.ReadExactly(bytes);
        // What is behind the last line's end was torn off by the end of a process, and will be written over.
        int end = Array.LastIndexOf(bytes, (byte)'\n') + 1;
        file.SetLength(end);
        foreach (Range line in bytes.AsSpan(0, end).Split((byte)'\n'))
        {
            if (bytes.AsSpan(line) is { Length: > 0 } json)
                Add(Parse(json));
        }
    }

    /// <summary>Takes an experiment on, until what is returned is disposed of or the process ends; null where another process is at it.</summary>
    public IDisposable? Claim(Experiment experiment) => TryLock(ScoresPath(experiment.Id) + ".lock");

    /// <summary>Does something that one process may do at a time.</summary>
    public void InTurn(Action action)
    {
        using FileStream turn = WaitForTurn();
        action();
    }

    private FileStream WaitForTurn()
    {
        FileStream? turn;
        while ((turn = TryLock(Path.Combine(_scoresFolder, "lock"))) is null)
            Thread.Sleep(20);
        return turn;
    }

    private static FileStream? TryLock(string path)
    {
        try
        {
            return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <summary>The result of an experiment; null where it, or its scores, are missing.</summary>
    public Result? Of(Experiment experiment) => _results.GetValueOrDefault(experiment.Id) is { } result && File.Exists(ScoresPath(result.Id)) ? result : null;

    /// <summary>Those that there are of a variant's experiments.</summary>
    public Result[] Of(Variant variant) => variant.Experiments.Select(Of).OfType<Result>().ToArray();

    public float[] ScoresOf(Result result) => MemoryMarshal.Cast<byte, float>(File.ReadAllBytes(ScoresPath(result.Id))).ToArray();

    /// <summary>Scores first: a result without them is none.</summary>
    public void Append(Result result, float[] scores)
    {
        using FileStream turn = WaitForTurn();
        string path = ScoresPath(result.Id), unfinished = path + ".tmp";
        File.WriteAllBytes(unfinished, MemoryMarshal.AsBytes(scores.AsSpan()).ToArray());
        File.Move(unfinished, path, overwrite: true);
        using FileStream file = new(_path, FileMode.Append);
        file.Write([.. JsonSerializer.SerializeToUtf8Bytes(result, s_json), (byte)'\n']);
        file.Flush(flushToDisk: true);
        Add(result);
    }

    /// <summary>An experiment that was run again counts as it was the last time.</summary>
    private void Add(Result result) => _results[result.Id] = result;

    private Result Parse(ReadOnlySpan<byte> json)
    {
        try
        {
            return JsonSerializer.Deserialize<Result>(json, s_json)!;
        }
        catch (JsonException problem)
        {
            throw new InvalidDataException($"{_path} has a line that is no result: {problem.Message}", problem);
        }
    }

    private string ScoresPath(string id) => Path.Combine(_scoresFolder, Experiment.Hash(id) + ".bin");
}
