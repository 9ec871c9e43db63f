namespace Microsoft.ML.SparseCtr;

/// <summary>Files that are there whole or not at all, whenever the process ends or the power goes.</summary>
internal static class AtomicFile
{
    /// <summary>Writes a file under another name and then renames it.</summary>
    /// <param name="file">The file; one that is there stays as it is until the new one is complete.</param>
    /// <param name="write">Writes to the file that it is told.</param>
    public static void Replace(string file, Action<string> write)
    {
        string unfinished = file + ".tmp";
        try
        {
            write(unfinished);
            using (FileStream written = new(unfinished, FileMode.Open, FileAccess.ReadWrite))
                written.Flush(flushToDisk: true);
            File.Move(unfinished, file, overwrite: true);
        }
        catch
        {
            TryDelete(unfinished);
            throw;
        }
    }

    /// <summary>What went wrong before is what is to be told.</summary>
    private static void TryDelete(string file)
    {
        try
        {
            File.Delete(file);
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException)
        {
        }
    }
}
