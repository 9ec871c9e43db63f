using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.SparseCtr;

/// <summary>What a column of the input must hold.</summary>
internal enum ColumnContent
{
    /// <summary>A Boolean, or a Single that is 0 or 1.</summary>
    Label,

    /// <summary>One key.</summary>
    Key,

    /// <summary>One key, or a vector of keys.</summary>
    Keys,

    /// <summary>A vector of keys, one per behavior.</summary>
    KeyPerBehavior,

    /// <summary>A Single, or a vector of Singles of known size.</summary>
    Numbers,

    /// <summary>A Single.</summary>
    Number,

    /// <summary>A Single, which may be any number, or a Boolean.</summary>
    NumberOrBoolean,

    /// <summary>Text, a number, or a key for one of them.</summary>
    Id,

    /// <summary>A key, a whole number or text, of which only equality counts.</summary>
    Group,

    /// <summary>Unix seconds (Int64) or a DateTime.</summary>
    Timestamp,

    /// <summary>A vector of Unix seconds (Int64) or of DateTime, one per behavior.</summary>
    TimestampPerBehavior,

    /// <summary>One value of any type.</summary>
    Scalar,
}

/// <summary>A column that is read, and the checks that it is there and as expected.</summary>
/// <param name="Role">What the column is to who reads it, in the words of an error message.</param>
/// <param name="Name">The column's name.</param>
/// <param name="Content">What it must hold.</param>
internal sealed record InputColumn(string Role, string Name, ColumnContent Content)
{
    /// <summary>The columns that a network reads to score.</summary>
    public static IEnumerable<InputColumn> Of(CtrConfig config)
    {
        foreach (KeyField field in config.SequenceFields)
        {
            if (field.ColumnName is not null)
                yield return new InputColumn(field == config.SequenceFields[0] ? "item" : "candidate", field.ColumnName, ColumnContent.Key);
            yield return new InputColumn("history", field.HistoryColumnName!, ColumnContent.KeyPerBehavior);
        }
        foreach (KeyField field in config.CandidateFields)
            yield return new InputColumn("candidate", field.ColumnName!, ColumnContent.Keys);
        foreach (KeyField field in config.UserFields)
            yield return new InputColumn("user", field.ColumnName!, ColumnContent.Keys);
        foreach (NumericField field in config.NumericFields)
            yield return new InputColumn("numeric", field.ColumnName, ColumnContent.Numbers);
        yield return new InputColumn("timestamp", config.Options.TimestampColumnName, ColumnContent.Timestamp);
        yield return new InputColumn("history timestamp", config.Options.HistoryTimestampColumnName, ColumnContent.TimestampPerBehavior);
    }

    /// <summary>Throws, in ML.NET's manner, unless the schema has this column with the expected type.</summary>
    public void Check(IExceptionContext context, SchemaShape schema)
    {
        if (!schema.Any(column => column.Name == Name))
            throw context.Process(new ArgumentOutOfRangeException(nameof(schema), $"Could not find {Role} column '{Name}'"));

        SchemaShape.Column found = schema.Single(column => column.Name == Name);
        if (!Accepts(found))
        {
            throw context.Process(new ArgumentOutOfRangeException(
                nameof(schema), $"Schema mismatch for {Role} column '{Name}': expected {Expected}, got {Describe(found)}"));
        }
    }

    private bool Accepts(SchemaShape.Column column)
    {
        bool isScalar = column.Kind == SchemaShape.Column.VectorKind.Scalar;
        bool isTime = !column.IsKey && (column.ItemType == NumberDataViewType.Int64 || column.ItemType == DateTimeDataViewType.Instance);
        bool isSingle = !column.IsKey && column.ItemType == NumberDataViewType.Single;
        return Content switch
        {
            ColumnContent.Label or ColumnContent.NumberOrBoolean => isScalar && (isSingle || column.ItemType == BooleanDataViewType.Instance),
            ColumnContent.Key => isScalar && column.IsKey,
            ColumnContent.Keys => column.IsKey,
            ColumnContent.KeyPerBehavior => !isScalar && column.IsKey,
            ColumnContent.Numbers => isSingle && column.Kind != SchemaShape.Column.VectorKind.VariableVector,
            ColumnContent.Number => isScalar && isSingle,
            ColumnContent.Id => isScalar && column.ItemType is TextDataViewType or NumberDataViewType,
            ColumnContent.Group => isScalar && (column.IsKey || column.ItemType is TextDataViewType
                || NumberTypes.IsWhole(column.ItemType)),
            ColumnContent.Timestamp => isScalar && isTime,
            ColumnContent.TimestampPerBehavior => !isScalar && isTime,
            ColumnContent.Scalar => isScalar,
            _ => throw new InvalidOperationException($"{Content}"),
        };
    }

    private string Expected => Content switch
    {
        ColumnContent.Label => "Boolean or Single",
        ColumnContent.Key => "a key (see MapValueToKey or Hash)",
        ColumnContent.Keys => "a key or a vector of keys (see MapValueToKey or Hash)",
        ColumnContent.KeyPerBehavior => "a vector of keys, one per behavior (see MapValueToKey or Hash)",
        ColumnContent.Numbers => "Single or a vector of Single of known size",
        ColumnContent.Number => "Single",
        ColumnContent.NumberOrBoolean => "Single or Boolean",
        ColumnContent.Id => "text, a number, or a key for one of them",
        ColumnContent.Group => "a key, a whole number or text",
        ColumnContent.Timestamp => "Int64 (Unix seconds) or DateTime",
        ColumnContent.TimestampPerBehavior => "a vector of Int64 (Unix seconds) or of DateTime, one per behavior",
        ColumnContent.Scalar => "one value per event",
        _ => throw new InvalidOperationException($"{Content}"),
    };

    private static string Describe(SchemaShape.Column column)
    {
        string item = column.IsKey ? $"Key<{column.ItemType}>" : $"{column.ItemType}";
        return column.Kind switch
        {
            SchemaShape.Column.VectorKind.Scalar => item,
            SchemaShape.Column.VectorKind.Vector => $"Vector<{item}>",
            _ => $"VarVector<{item}>",
        };
    }
}
