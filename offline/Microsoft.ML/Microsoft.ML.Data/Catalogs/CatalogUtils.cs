using Microsoft.ML.Runtime;

namespace Microsoft.ML.Data;

/// <summary>How authors of components get from a catalog, which their extension methods extend, to its environment.</summary>
internal static class CatalogUtils
{
    public static IHostEnvironment GetEnvironment(this IInternalCatalog catalog)
    {
        Contracts.CheckValue(null, catalog, nameof(catalog));
        return catalog.Environment;
    }
}

internal interface IInternalCatalog
{
    IHostEnvironment Environment { get; }
}
