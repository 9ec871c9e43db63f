using System.Reflection;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Data;

/// <summary>Loads lines of text, the fields of which are separated by characters, as rows.</summary>
public sealed class TextLoader : IDataLoader<IMultiStreamSource>
{
    private readonly IHost _host;
    private readonly Options _options;
    private readonly TextColumn[] _columns;
    private readonly DataViewSchema _schema;

    /// <param name="env">The environment.</param>
    /// <param name="options">The options, and in them the columns.</param>
    /// <param name="dataSample">Where the number of fields and the names in the header are read from, if it is given.</param>
    internal TextLoader(IHostEnvironment env, Options options, IMultiStreamSource dataSample)
    {
        _host = env.Register(nameof(TextLoader));
        _host.CheckValue(options, nameof(options));
        _host.CheckUserArg(options.Columns is { Length: > 0 }, nameof(options.Columns), "At least one column is needed.");
        _host.CheckUserArg(options.Separators is { Length: > 0 }, nameof(options.Separators), "At least one separator is needed.");
        _options = options;
        string[] sample = dataSample is { Count: > 0 } ? ReadFirstLine(dataSample) : null;
        _columns = Array.ConvertAll(options.Columns, column => new TextColumn(_host, column, sample, options));
        var builder = new DataViewSchema.Builder();
        builder.AddColumns(_columns.Select(column => column.Column));
        _schema = builder.ToSchema();
    }

    public DataViewSchema GetOutputSchema() => _schema;

    public IDataView Load(IMultiStreamSource source)
    {
        _host.CheckValue(source, nameof(source));
        return new TextDataView(_schema, _columns, _options, source);
    }

    /// <summary>The columns of a row class, by its attributes.</summary>
    internal static Column[] GetColumns<TRow>() where TRow : class
    {
        var columns = new List<Column>();
        foreach (var member in RowMember.GetMembers(typeof(TRow), SchemaDefinition.Direction.Write))
        {
            if (member.GetCustomAttribute<LoadColumnAttribute>() is not { } load)
                continue;
            var type = RowMember.GetColumnType(member);
            var itemType = (PrimitiveDataViewType)type.GetItemType();
            var sources = type is not VectorDataViewType ? load.Sources
                : Array.ConvertAll(load.Sources, source => new Range(source.Min, source.Max) { ForceVector = true });
            columns.Add(new Column(member.GetCustomAttribute<ColumnNameAttribute>()?.Name ?? member.Name, itemType.GetKind(), sources,
                itemType is KeyDataViewType ? new KeyCount { Count = member.GetCustomAttribute<KeyTypeAttribute>().Count } : null));
        }
        if (columns.Count == 0)
            throw Contracts.ExceptParam(null, typeof(TRow).Name,
                "Should define at least one public, non-readonly field or property with a LoadColumn attribute.");
        return [.. columns];
    }

    private string[] ReadFirstLine(IMultiStreamSource sample)
    {
        using var lines = new TextLines(sample, _options, skipHeader: false);
        return lines.MoveNext() ? [.. lines.Fields.Select(field => field.ToString())] : null;
    }

    /// <summary>A column, and the fields that it is loaded from.</summary>
    public sealed class Column
    {
        public string Name;
        public Range[] Source;
        public KeyCount KeyCount;

        public Column()
        {
        }

        public Column(string name, DataKind dataKind, int index) : this(name, dataKind, [new Range(index)])
        {
        }

        public Column(string name, DataKind dataKind, int minIndex, int maxIndex) : this(name, dataKind, [new Range(minIndex, maxIndex)])
        {
        }

        public Column(string name, DataKind dataKind, Range[] source, KeyCount keyCount = null)
        {
            Name = name;
            DataKind = dataKind;
            Source = source;
            KeyCount = keyCount;
        }

        public DataKind DataKind { get; set; } = DataKind.Single;
    }

    /// <summary>Consecutive fields of a line, counted from 0.</summary>
    public sealed class Range
    {
        public int Min;

        /// <summary>The last field.</summary>
        public int? Max;

        /// <summary>Whether the range goes on to the last field that the sample of the data has.</summary>
        public bool AutoEnd;

        /// <summary>Whether the range goes on to the last field of each line.</summary>
        public bool VariableEnd;

        /// <summary>Whether one field makes a vector too.</summary>
        public bool ForceVector;

        public Range()
        {
        }

        public Range(int index) : this(index, index)
        {
        }

        public Range(int min, int? max)
        {
            Contracts.CheckUserArg(null, min >= 0, nameof(min), "Must be non-negative");
            Contracts.CheckUserArg(null, max is null || max >= min, nameof(max), "Must not be less than the minimum");
            Min = min;
            Max = max;
            AutoEnd = max is null;
        }
    }

    public class Options
    {
        public Column[] Columns;
        public char[] Separators = ['\t'];
        public bool HasHeader;
        public long? MaxRows;

        /// <summary>Whether fields may stand in double quotes, in which separators have no meaning and a quote is written twice.</summary>
        public bool AllowQuoting;

        /// <summary>Whether spaces at the end of fields are left out.</summary>
        public bool TrimWhitespace;

        /// <summary>Whether empty fields of real numbers are NaN, and not 0.</summary>
        public bool MissingRealsAsNaNs;

        public Options()
        {
        }
    }
}
