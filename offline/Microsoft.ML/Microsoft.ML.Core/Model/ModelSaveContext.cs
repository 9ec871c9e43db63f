using System.Text;
using Microsoft.ML.Runtime;

namespace Microsoft.ML;

/// <summary>Where a component saves itself: a folder in the model file, whose entry Model.key says how to load it.</summary>
public sealed class ModelSaveContext : IDisposable
{
    internal const string ModelStreamName = "Model.key";

    private readonly string _folder;
    private readonly FileStream _model;
    private VersionInfo? _version;

    private ModelSaveContext(RepositoryWriter repository, string folder)
    {
        Repository = repository;
        _folder = folder;
        _model = repository.CreateTempFile();
        _model.Position = ModelHeader.Size;
        Writer = new BinaryWriter(_model, Encoding.UTF8, leaveOpen: true);
    }

    internal RepositoryWriter Repository { get; }

    /// <summary>Writes the component's own bytes in Model.key.</summary>
    internal BinaryWriter Writer { get; }

    internal static void SaveModel(RepositoryWriter repository, ICanSaveModel model, string folder)
    {
        using var ctx = new ModelSaveContext(repository, folder);
        model.Save(ctx);
        ctx.Done();
    }

    /// <summary>Saves a part of the component in a folder of its own.</summary>
    internal void SaveModel(ICanSaveModel part, string name) => SaveModel(Repository, part, $"{_folder}/{name}");

    /// <summary>Checks that nothing has been written yet.</summary>
    internal void CheckAtModel()
    {
        Writer.Flush();
        if (_model.Position != ModelHeader.Size)
            throw Contracts.ExceptParam(null, "ctx", "The model has been written to already.");
    }

    internal void SetVersionInfo(VersionInfo ver) => _version = ver;

    internal void SaveTextStream(string name, Action<TextWriter> action) => Repository.AddEntry(_folder, name, stream =>
    {
        using var writer = new StreamWriter(stream, leaveOpen: true);
        action(writer);
    });

    internal void SaveBinaryStream(string name, Action<BinaryWriter> action) => Repository.AddEntry(_folder, name, stream =>
    {
        using var writer = new BinaryWriter(stream, Encoding.UTF8, leaveOpen: true);
        action(writer);
    });

    private void Done()
    {
        Writer.Flush();
        ModelHeader.Write(_model, _version ?? throw Contracts.Except(null, "A component that is saved must set its version."));
        Repository.AddEntry(_folder, ModelStreamName, _model);
    }

    public void Dispose()
    {
        Writer.Dispose();
        _model.Dispose();
    }
}
