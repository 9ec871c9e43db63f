using System.Reflection;
using System.Text;
using Microsoft.ML.Runtime;

namespace Microsoft.ML;

/// <summary>Where a component loads itself from.</summary>
internal sealed class ModelLoadContext : IDisposable
{
    private readonly IHostEnvironment _env;
    private readonly RepositoryReader _repository;
    private readonly string _folder;
    private readonly ModelHeader _header;

    private ModelLoadContext(IHostEnvironment env, RepositoryReader repository, string folder, Stream model)
    {
        _env = env;
        _repository = repository;
        _folder = folder;
        Reader = new BinaryReader(model);
        _header = ModelHeader.Read(model, env);
    }

    /// <summary>Reads the component's own bytes in Model.key.</summary>
    public BinaryReader Reader { get; }

    /// <summary>Loads what was saved in a folder, by the loader that its Model.key names, in the assembly that it names.</summary>
    public static TResult LoadModel<TResult, TSignature>(IHostEnvironment env, RepositoryReader repository, string folder)
        where TResult : class
    {
        var model = repository.OpenEntryOrNull(folder, ModelSaveContext.ModelStreamName)
            ?? throw env.ExceptDecode("Corrupt model file: it has no '{0}/{1}'", folder, ModelSaveContext.ModelStreamName);
        using (model)
        {
            using var ctx = new ModelLoadContext(env, repository, folder, model);
            if (ctx._header.LoaderAssemblyName.Length > 0)
                env.ComponentCatalog.RegisterAssembly(Assembly.Load(ctx._header.LoaderAssemblyName));
            return env.ComponentCatalog.CreateInstanceOrNull<TResult, TSignature>(env, ctx._header.LoaderSignature, ctx)
                ?? throw env.ExceptDecode("Corrupt model file: no loader is called '{0}'", ctx._header.LoaderSignature);
        }
    }

    /// <summary>Loads a part of the component.</summary>
    public TResult LoadModel<TResult, TSignature>(IHostEnvironment env, string name) where TResult : class =>
        LoadModel<TResult, TSignature>(env, _repository, $"{_folder}/{name}");

    /// <summary>Checks that the component can read what was written, and that none of it has been read yet.</summary>
    public void CheckAtModel(VersionInfo ver)
    {
        if (Reader.BaseStream.Position != ModelHeader.Size)
            throw _env.ExceptParam("ctx", "The model has been read from already.");
        _header.Check(ver, _env);
    }

    public bool TryLoadBinaryStream(string name, Action<BinaryReader> action) => TryLoad(name, stream =>
    {
        using var reader = new BinaryReader(stream, Encoding.UTF8, leaveOpen: true);
        action(reader);
    });

    public bool TryLoadTextStream(string name, Action<TextReader> action) => TryLoad(name, stream =>
    {
        using var reader = new StreamReader(stream, leaveOpen: true);
        action(reader);
    });

    private bool TryLoad(string name, Action<Stream> action)
    {
        using var stream = _repository.OpenEntryOrNull(_folder, name);
        if (stream is null)
            return false;
        action(stream);
        return true;
    }

    public void Dispose() => Reader.Dispose();
}
