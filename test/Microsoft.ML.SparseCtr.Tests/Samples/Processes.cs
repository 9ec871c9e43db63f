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

    /// <summary>Starts the samples and kills them, as the system does with a process that takes too much memory.</summary>
    public static void KillSamples(TimeSpan after, params string[] arguments)
    {
        using Process process = StartSamples(arguments);
        process.OutputDataReceived += (_, _) => { };
        process.ErrorDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        if (!process.WaitForExit(after))
            process.Kill(entireProcessTree: true);
        process.WaitForExit();
    }

    private static Process StartSamples(string[] arguments)
        => Process.Start(new ProcessStartInfo(Samples, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
}
