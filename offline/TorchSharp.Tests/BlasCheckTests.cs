// blas-check tells a fast BLAS from a slow one.
using System.Diagnostics;

namespace TorchSharp.Tests;

public class BlasCheckTests
{
    private const string Reference = "/usr/lib/x86_64-linux-gnu/blas/libblas.so.3";

    [Fact]
    public void The_speed_of_the_BLAS_is_reported()
    {
        var (_, output) = Run(preload: null);
        Assert.Matches(@"^blas: \d+ GFLOP/s", output);
    }

    [SkippableFact]
    public void A_reference_BLAS_is_detected_and_named()
    {
        Skip.IfNot(File.Exists(Reference), $"{Reference} is not installed.");
        var (status, output) = Run(Reference);
        Assert.Equal(3, status);
        Assert.Contains("reference BLAS", output);
        Assert.Contains("libopenblas0-openmp", output);
    }

    private static (int Status, string Output) Run(string? preload)
    {
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "blas-check")) { RedirectStandardOutput = true };
        if (preload is not null) start.Environment["LD_PRELOAD"] = preload;
        using var process = Process.Start(start)!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output);
    }
}
