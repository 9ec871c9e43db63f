using System.Diagnostics;

namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>Runs the samples as a user does: in a process of their own.</summary>
internal static class Processes
{
    public static string Samples { get; } = Path.Combine(AppContext.BaseDirectory, OperatingSystem.IsWindows() ? "Samples.exe" : "Samples");

    /// <summary>Runs the samples to their end.</summary>
    public static (int ExitCode, string Output, string Error) RunSamples(params string[] arguments)
    {
        using Process process = StartSamples(arguments);
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output, error.Result);
    }

    /// <summary>
    /// Starts the samples and kills them, as the system does with a process that takes too much memory, some time after they have first written to a folder; returns what they have
    /// written to the console.
    /// </summary>
    public static string KillSamples(string folder, TimeSpan after, params string[] arguments)
    {
        DateTime started = DateTime.UtcNow;
        using Process process = StartSamples(arguments);
        Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
        bool hasEnded;
        do
            hasEnded = process.WaitForExit(TimeSpan.FromMilliseconds(5));
        while (!hasEnded && !Directory.EnumerateFiles(folder).Any(file => File.GetLastWriteTimeUtc(file) > started));
        if (!hasEnded && !process.WaitForExit(after))
            process.Kill(entireProcessTree: true);
        process.WaitForExit();
        return output.Result + error.Result;
    }

    private static Process StartSamples(string[] arguments)
        => Process.Start(new ProcessStartInfo(Samples, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
}
