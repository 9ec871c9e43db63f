namespace Microsoft.ML.SparseCtr;

/// <summary>A program in CUDA C++ that is embedded in the assembly, and what is constant in it.</summary>
internal sealed class CudaProgram
{
    private const string Common = "common.cuh";

    private readonly string _fileName;
    private readonly (string Name, object Value)[] _constants;

    /// <param name="fileName">The file, behind what all have in common.</param>
    /// <param name="threads">Threads of a block: THREADS in the program.</param>
    /// <param name="constants">What further names stand for.</param>
    public CudaProgram(string fileName, int threads, params (string Name, object Value)[] constants)
    {
        (_fileName, Threads, _constants) = (fileName, threads, [("THREADS", threads), .. constants]);
        Key = $"{fileName} {string.Join(' ', _constants.Select(constant => $"{constant.Name}={constant.Value}"))}";
    }

    public int Threads { get; }

    /// <summary>Tells it from others.</summary>
    public string Key { get; }

    /// <summary>Compiles it for an architecture, such as 90 for sm_90.</summary>
    public byte[] Compile(CudaCompiler compiler, int architecture)
        => compiler.Compile($"{Read(Common)}\n#line 1 \"{_fileName}\"\n{Read(_fileName)}", _fileName, architecture, _constants);

    private static string Read(string fileName)
    {
        using var reader = new StreamReader(typeof(CudaProgram).Assembly.GetManifestResourceStream(fileName)!);
        return reader.ReadToEnd();
    }
}
