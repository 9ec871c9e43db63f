using Microsoft.ML;
using Microsoft.ML.Runtime;
using Microsoft.ML.SparseCtr;
using Microsoft.ML.SparseCtr.Interop;

// With these, mlContext.Model.Load finds the transformers in a process that has never touched this assembly.
[assembly: LoadableClass(typeof(ITransformer), typeof(SparseCtrLoader), null, typeof(SignatureLoadModel), "SparseCTR", SparseCtrLoader.Signature)]
[assembly: LoadableClass(typeof(ITransformer), typeof(BehaviorSequenceLoader), null, typeof(SignatureLoadModel), "Behavior sequences", BehaviorSequenceLoader.Signature)]
[assembly: LoadableClass(typeof(ITransformer), typeof(RunningRateLoader), null, typeof(SignatureLoadModel), "Running rates", RunningRateLoader.Signature)]
[assembly: LoadableClass(typeof(ITransformer), typeof(TimeChunkingLoader), null, typeof(SignatureLoadModel), "Time chunking", TimeChunkingLoader.Signature)]

namespace Microsoft.ML.SparseCtr.Interop;

internal static class SparseCtrLoader
{
    internal const string Signature = "SparseCtr";

    public static ModelEntries Entries { get; } = new(Signature, "SPARSCTR", "weights.safetensors");

    /// <summary>What ML.NET calls to load a model, by the attribute above.</summary>
    internal static ITransformer Create(IHostEnvironment environment, ModelLoadContext context) => Entries.Load(
        environment, context, ModelFile.ReadConfig, (config, stream) => new CtrTransformer(environment, ModelFile.ReadNetwork(config, stream)));
}

internal static class BehaviorSequenceLoader
{
    internal const string Signature = "SparseCtrBehaviors";

    public static ModelEntries Entries { get; } = new(Signature, "SCTRBEHV", "events.bin");

    /// <inheritdoc cref="SparseCtrLoader.Create"/>
    internal static ITransformer Create(IHostEnvironment environment, ModelLoadContext context) => Entries.Load(
        environment, context, BehaviorSequenceFile.Parse, (file, stream) => BehaviorSequenceTransformer.Load(environment, file, stream));
}

internal static class RunningRateLoader
{
    internal const string Signature = "SparseCtrRates";

    public static ModelEntries Entries { get; } = new(Signature, "SCTRRATE", "events.bin");

    /// <inheritdoc cref="SparseCtrLoader.Create"/>
    internal static ITransformer Create(IHostEnvironment environment, ModelLoadContext context) => Entries.Load(
        environment, context, RunningRateFile.Parse, (file, stream) => RunningRateTransformer.Load(environment, file, stream));
}

internal static class TimeChunkingLoader
{
    internal const string Signature = "SparseCtrChunks";

    public static ModelEntries Entries { get; } = new(Signature, "SCTRCHNK", dataEntry: null);

    /// <inheritdoc cref="SparseCtrLoader.Create"/>
    internal static ITransformer Create(IHostEnvironment environment, ModelLoadContext context) => Entries.Load(
        environment, context, TimeChunkingOptions.Parse, (options, _) => new TimeChunkingTransformer(environment, options));
}

/// <summary>Puts a transformer into ML.NET's model .zip, and takes it out again: config.json, and an entry of large data where it has some.</summary>
/// <param name="loaderSignature">What ML.NET finds the loader by; at most 24 characters.</param>
/// <param name="modelSignature">What tells one kind of model from another; 8 characters.</param>
/// <param name="dataEntry">The name of the entry of large data; null where there is none.</param>
internal sealed class ModelEntries(string loaderSignature, string modelSignature, string? dataEntry)
{
    private const string ConfigEntry = "config.json";

    private VersionInfo Version => new(
        modelSignature,
        verWrittenCur: 0x00010001,
        verReadableCur: 0x00010001,
        verWeCanReadBack: 0x00010001,
        loaderSignature: loaderSignature,
        // The simple name: with the full one, a model of a newer version of this assembly would not load under an older.
        loaderAssemblyName: typeof(ModelEntries).Assembly.GetName().Name!);

    public void Save(ModelSaveContext context, Action<TextWriter> writeConfig, Action<Stream>? writeData = null)
    {
        context.CheckAtModel();
        context.SetVersionInfo(Version);
        context.SaveTextStream(ConfigEntry, writeConfig);
        if (dataEntry is not null)
            context.SaveBinaryStream(dataEntry, writer => writeData!(writer.BaseStream));
    }

    /// <exception cref="FormatException">The entries are not there, or not what they should be.</exception>
    public ITransformer Load<TConfig>(
        IHostEnvironment environment, ModelLoadContext context, Func<string, TConfig> parse, Func<TConfig, Stream, ITransformer> create)
    {
        try
        {
            // Our own version first: ML.NET's message would say that ML.NET is too old.
            string? json = null;
            if (!context.TryLoadTextStream(ConfigEntry, reader => json = reader.ReadToEnd()))
                throw Missing(ConfigEntry);
            TConfig config = parse(json!);
            context.CheckAtModel(Version);

            ITransformer? transformer = null;
            if (dataEntry is null)
                return create(config, Stream.Null);
            if (!context.TryLoadBinaryStream(dataEntry, reader => transformer = create(config, reader.BaseStream)))
                throw Missing(dataEntry);
            return transformer!;
        }
        catch (EndOfStreamException problem)
        {
            throw environment.Process(new FormatException($"The model file is corrupt: its entry {dataEntry} ends too early.", problem));
        }

        Exception Missing(string entry) => environment.Process(new FormatException($"The model file is corrupt: its entry {entry} is missing."));
    }
}
