using Microsoft.ML.Runtime;

namespace Microsoft.ML.Data;

/// <summary>Fills objects with the values of a row's columns.</summary>
internal sealed class RowWriter<TRow> where TRow : class
{
    private readonly (RowMember<TRow> Member, DataViewSchema.Column Column)[] _bindings;

    public RowWriter(DataViewSchema schema, bool ignoreMissingColumns, SchemaDefinition definition)
    {
        var bindings = new List<(RowMember<TRow>, DataViewSchema.Column)>();
        foreach (var member in RowMember<TRow>.GetAll(definition, SchemaDefinition.Direction.Write))
        {
            if (schema.GetColumnOrNull(member.Name) is { } column)
                bindings.Add((member, CheckType(member, column)));
            else if (!ignoreMissingColumns)
                throw new ArgumentOutOfRangeException(nameof(schema), $"Could not find column '{member.Name}'");
        }
        _bindings = [.. bindings];
    }

    public IEnumerable<DataViewSchema.Column> Columns => _bindings.Select(binding => binding.Column);

    /// <summary>What fills an object with the present values of a row in which <see cref="Columns"/> are active.</summary>
    public Action<TRow> MakeWriter(DataViewRow source)
    {
        var setters = Array.ConvertAll(_bindings, binding => binding.Member.MakeSetter(source, binding.Column));
        return row =>
        {
            foreach (var set in setters)
                set(row);
        };
    }

    private static DataViewSchema.Column CheckType(RowMember<TRow> member, DataViewSchema.Column column)
    {
        if (member.Column.Type.RawType == column.Type.RawType)
            return column;
        throw Contracts.Except(null, $"Can't bind the IDataView column '{column.Name}' of type '{column.Type}' "
            + $"to field or property '{member.Name}' of type '{member.Column.Type}'.");
    }
}
