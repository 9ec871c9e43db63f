using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML;

/// <summary>Loads text files. A method without columns loads those that the class has <see cref="LoadColumnAttribute"/>s for.</summary>
/// <remarks>Sparse lines are not read here: allowSparse must be false.</remarks>
public static class TextLoaderSaverCatalog
{
    private const char DefaultSeparator = '\t';

    public static TextLoader CreateTextLoader(this DataOperationsCatalog catalog, TextLoader.Column[] columns,
        char separatorChar = DefaultSeparator, bool hasHeader = false, IMultiStreamSource dataSample = null, bool allowQuoting = false,
        bool trimWhitespace = false, bool allowSparse = false)
    {
        var options = MakeOptions(catalog, separatorChar, hasHeader, allowQuoting, trimWhitespace, allowSparse);
        options.Columns = columns;
        return catalog.CreateTextLoader(options, dataSample);
    }

    public static TextLoader CreateTextLoader(this DataOperationsCatalog catalog, TextLoader.Options options,
        IMultiStreamSource dataSample = null) =>
        new(catalog.GetEnvironment(), options, dataSample);

    public static TextLoader CreateTextLoader<TInput>(this DataOperationsCatalog catalog, char separatorChar = DefaultSeparator,
        bool hasHeader = false, IMultiStreamSource dataSample = null, bool allowQuoting = false, bool trimWhitespace = false,
        bool allowSparse = false)
        where TInput : class =>
        catalog.CreateTextLoader<TInput>(
            MakeOptions(catalog, separatorChar, hasHeader, allowQuoting, trimWhitespace, allowSparse), dataSample);

    public static TextLoader CreateTextLoader<TInput>(this DataOperationsCatalog catalog, TextLoader.Options options,
        IMultiStreamSource dataSample = null)
        where TInput : class
    {
        catalog.GetEnvironment().CheckValue(options, nameof(options));
        options.Columns = TextLoader.GetColumns<TInput>();
        return catalog.CreateTextLoader(options, dataSample);
    }

    public static IDataView LoadFromTextFile(this DataOperationsCatalog catalog, string path, TextLoader.Column[] columns,
        char separatorChar = DefaultSeparator, bool hasHeader = false, bool allowQuoting = false, bool trimWhitespace = false,
        bool allowSparse = false)
    {
        var source = OpenFile(catalog, path);
        return catalog.CreateTextLoader(columns, separatorChar, hasHeader, source, allowQuoting, trimWhitespace, allowSparse).Load(source);
    }

    public static IDataView LoadFromTextFile(this DataOperationsCatalog catalog, string path, TextLoader.Options options = null)
    {
        var source = OpenFile(catalog, path);
        return catalog.CreateTextLoader(options ?? new TextLoader.Options(), source).Load(source);
    }

    public static IDataView LoadFromTextFile<TInput>(this DataOperationsCatalog catalog, string path,
        char separatorChar = DefaultSeparator, bool hasHeader = false, bool allowQuoting = false, bool trimWhitespace = false,
        bool allowSparse = false)
        where TInput : class =>
        catalog.LoadFromTextFile<TInput>(path, MakeOptions(catalog, separatorChar, hasHeader, allowQuoting, trimWhitespace, allowSparse));

    public static IDataView LoadFromTextFile<TInput>(this DataOperationsCatalog catalog, string path, TextLoader.Options options)
        where TInput : class
    {
        var source = OpenFile(catalog, path);
        return catalog.CreateTextLoader<TInput>(options, source).Load(source);
    }

    private static TextLoader.Options MakeOptions(
        DataOperationsCatalog catalog, char separator, bool hasHeader, bool allowQuoting, bool trimWhitespace, bool allowSparse)
    {
        if (allowSparse)
            throw catalog.GetEnvironment().ExceptNotSupp($"{nameof(allowSparse)} must be false.");
        return new TextLoader.Options
        {
            Separators = [separator],
            HasHeader = hasHeader,
            AllowQuoting = allowQuoting,
            TrimWhitespace = trimWhitespace,
        };
    }

    private static MultiFileSource OpenFile(DataOperationsCatalog catalog, string path)
    {
        var env = catalog.GetEnvironment();
        env.CheckNonEmpty(path, nameof(path));
        env.CheckUserArg(File.Exists(path), nameof(path), $"File does not exist at path: {path}");
        return new MultiFileSource(path);
    }
}
