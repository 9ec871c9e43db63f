using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr.Benchmarks;

/// <summary>
/// A process of its own that measures on request: it takes requests, a line of JSON each, and answers by lines of JSON. Between requests it waits, so
/// that two of them can be measured alternately.
/// </summary>
internal sealed class MeasuredProcess : IDisposable
{
    private const string Python = "/usr/bin/python3", Script = "pytorch/sparse_ctr.py";

    private readonly Process _process;
    private readonly string _name;

    private MeasuredProcess(string name, string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardInput = true, RedirectStandardOutput = true };
        // By default glibc gives large blocks back to the system at every free and asks for them again at the next allocation, which takes
        // operators on large tensors longer than their arithmetic.
        start.Environment["MALLOC_MMAP_MAX_"] = "0";
        start.Environment["MALLOC_TRIM_THRESHOLD_"] = "100000000000";
        // The variant that the product's libtorch uses too, wherever Debian's alternatives for libblas point.
        IEnumerable<string> folders = Directory.GetDirectories("/usr/lib", "*-linux-gnu").Select(folder => Path.Combine(folder, "openblas-openmp")).Where(Directory.Exists);
        start.Environment["LD_LIBRARY_PATH"] = string.Join(':', folders.Append(Environment.GetEnvironmentVariable("LD_LIBRARY_PATH")).Where(folder => !string.IsNullOrEmpty(folder)));
        _name = name;
        _process = Process.Start(start)!;
    }

    /// <summary>The product, in a process like the other's: see <see cref="Measurements"/>.</summary>
    public static MeasuredProcess Product() => Product(CPU, Precision.Float32);

    public static MeasuredProcess Product(Device device, Precision precision)
        => new("the measured process", "dotnet", typeof(MeasuredProcess).Assembly.Location, Measurements.Verb, device.ToString(), precision.Name);

    /// <summary>PyTorch in Debian's own Python, which another one may hide on the PATH.</summary>
    public static MeasuredProcess PyTorch()
        => File.Exists(Python)
            ? new(Script, Python, Path.Combine(AppContext.BaseDirectory, Script))
            : throw new ArgumentException($"PyTorch is measured in {Python}, which is not here: on Debian, apt-get install python3-torch.");

    /// <summary>PyTorch in the Python that the environment variable PYTHON names, or in the one on the PATH: Debian's own has no CUDA.</summary>
    public static MeasuredProcess PyTorch(Device device, Precision precision)
        => new(Script, Environment.GetEnvironmentVariable("PYTHON") ?? "python3",
            Path.Combine(AppContext.BaseDirectory, Script), "--device", device.type.ToString().ToLowerInvariant(), "--dtype", precision.Name);

    public JsonNode Ask(object request)
    {
        _process.StandardInput.WriteLine(JsonSerializer.Serialize(request));
        _process.StandardInput.Flush();
        string answer = _process.StandardOutput.ReadLine()
            ?? throw new EndOfStreamException($"{_name} broke off: what it had to say is above.");
        return JsonNode.Parse(answer)!;
    }

    public void Dispose()
    {
        _process.StandardInput.Close();
        _process.WaitForExit();
        _process.Dispose();
    }
}
