using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML;

public static class DataLoaderExtensions
{
    /// <summary>Loads files, one after the other.</summary>
    public static IDataView Load(this IDataLoader<IMultiStreamSource> loader, params string[] path)
    {
        Contracts.CheckValue(null, loader, nameof(loader));
        return loader.Load(new MultiFileSource(path));
    }
}
