using System.Diagnostics;

namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>Runs the samples as a user does: in a process of their own.</summary>
internal static class Processes
{
    public static string Samples { get; } = Path.Combine(AppContext.BaseDirectory, OperatingSystem.IsWindows() ? "Samples.exe" : "Samples");

    /// <summary>Runs the samples to their end.</summary>
    public static (int ExitCode, string Output, string Error) RunSamples(params string[] arguments)
    {
        var start = new ProcessStartInfo(Samples) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (string argument in arguments)
            start.ArgumentList.Add(argument);
        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output, error.Result);
    }
}
