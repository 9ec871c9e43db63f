using Microsoft.ML.Runtime;

namespace Microsoft.ML.Data;

/// <summary>The getters of a row's active columns, each made when it is first asked for.</summary>
internal sealed class ColumnGetters
{
    private readonly Func<int, Delegate> _makeGetter;
    private readonly bool[] _active;
    private readonly Delegate[] _getters;

    public ColumnGetters(DataViewSchema schema, IEnumerable<DataViewSchema.Column> activeColumns, Func<int, Delegate> makeGetter)
    {
        _makeGetter = makeGetter;
        _active = new bool[schema.Count];
        _getters = new Delegate[schema.Count];
        foreach (var column in activeColumns)
            _active[column.Index] = true;
    }

    public bool IsActive(DataViewSchema.Column column) => _active[column.Index];

    public ValueGetter<TValue> Get<TValue>(DataViewSchema.Column column)
    {
        if (!IsActive(column))
            throw Contracts.ExceptParam(null, nameof(column), $"The requested column '{column.Name}' is not active.");
        if (column.Type.RawType != typeof(TValue))
        {
            throw Contracts.Except(null,
                $"Invalid TValue in GetGetter for column '{column.Name}': '{typeof(TValue)}', expected type: '{column.Type.RawType}'.");
        }
        return (ValueGetter<TValue>)(_getters[column.Index] ??= _makeGetter(column.Index));
    }
}
