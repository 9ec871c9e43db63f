using System.Diagnostics;
using System.Reflection.PortableExecutable;

namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>Runs the samples as a user does: in a process of their own.</summary>
internal static class Processes
{
    public static string Samples { get; } = Path.Combine(AppContext.BaseDirectory, OperatingSystem.IsWindows() ? "Samples.exe" : "Samples");

    /// <summary>Runs the samples to their end.</summary>
    public static (int ExitCode, string Output, string Error) RunSamples(params string[] arguments) => Run(StartSamples(arguments));

    /// <summary>Runs a copy of the samples, in a folder of its own, that has all assemblies but no native library.</summary>
    public static (int ExitCode, string Output, string Error) RunSamplesWithoutNativeLibraries(string folder, params string[] arguments)
    {
        Directory.CreateDirectory(folder);
        // Without a .deps.json, which would ask for the native libraries, the assemblies beside the program are those that there are.
        foreach (string file in Directory.GetFiles(AppContext.BaseDirectory, "*.dll").Where(IsAssembly).Append(Samples + ".runtimeconfig.json"))
            File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        return Run(Start("dotnet", ["exec", Path.Combine(folder, "Samples.dll"), .. arguments]));
    }

    private static bool IsAssembly(string file)
    {
        using var reader = new PEReader(File.OpenRead(file));
        try
        {
            return reader.HasMetadata;
        }
        catch (BadImageFormatException)
        {
            return false;
        }
    }

    private static (int ExitCode, string Output, string Error) Run(Process started)
    {
        using Process process = started;
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

    /// <summary>Starts the samples, which the caller ends.</summary>
    public static Process StartSamples(params string[] arguments) => Start(Samples, arguments);

    private static Process Start(string program, string[] arguments)
        => Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
}
