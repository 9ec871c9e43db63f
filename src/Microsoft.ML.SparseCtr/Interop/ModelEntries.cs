using Microsoft.ML;
using Microsoft.ML.Runtime;
using Microsoft.ML.SparseCtr;
using Microsoft.ML.SparseCtr.Interop;

// With this, mlContext.Model.Load finds the transformer in a process that has never touched this assembly.
[assembly: LoadableClass(typeof(ITransformer), typeof(ModelEntries), null, typeof(SignatureLoadModel), "SparseCTR", ModelEntries.LoaderSignature)]

namespace Microsoft.ML.SparseCtr.Interop;

/// <summary>Puts a model's two files into ML.NET's model .zip, and takes them out again.</summary>
internal static class ModelEntries
{
    // ML.NET asks for 8 characters in a model's signature and at most 24 in its loader's.
    internal const string LoaderSignature = "SparseCtr";
    private const string ModelSignature = "SPARSCTR";

    private const string ConfigEntry = "config.json";
    private const string WeightsEntry = "weights.safetensors";

    private static VersionInfo Version => new(
        ModelSignature,
        verWrittenCur: 0x00010001,
        verReadableCur: 0x00010001,
        verWeCanReadBack: 0x00010001,
        loaderSignature: LoaderSignature,
        // The simple name: with the full one, a model of a newer version of this assembly would not load under an older.
        loaderAssemblyName: typeof(ModelEntries).Assembly.GetName().Name!);

    public static void Save(ModelSaveContext context, Action<TextWriter> writeConfig, Action<Stream> writeWeights)
    {
        context.CheckAtModel();
        context.SetVersionInfo(Version);
        context.SaveTextStream(ConfigEntry, writeConfig);
        context.SaveBinaryStream(WeightsEntry, writer => writeWeights(writer.BaseStream));
    }

    /// <summary>What ML.NET calls to load a model, by the attribute above.</summary>
    internal static ITransformer Create(IHostEnvironment environment, ModelLoadContext context)
    {
        // Our own version first: ML.NET's message would say that ML.NET is too old.
        string? config = null;
        if (!context.TryLoadTextStream(ConfigEntry, reader => config = reader.ReadToEnd()))
            throw Missing(ConfigEntry);
        SparseCtrConfig parsed = ModelFile.ReadConfig(config!);
        context.CheckAtModel(Version);

        SparseCtrNetwork? network = null;
        if (!context.TryLoadBinaryStream(WeightsEntry, reader => network = ModelFile.ReadNetwork(parsed, reader.BaseStream)))
            throw Missing(WeightsEntry);
        return new SparseCtrTransformer(environment, parsed, network!);

        Exception Missing(string entry) => environment.Process(new FormatException($"The model file is corrupt: its entry {entry} is missing."));
    }
}
