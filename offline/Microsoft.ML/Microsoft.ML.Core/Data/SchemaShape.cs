using System.Collections;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML;

/// <summary>
/// What can be known of a schema before data is seen: sizes of vectors, counts of keys and values of annotations are not.
/// </summary>
public sealed class SchemaShape : IReadOnlyList<SchemaShape.Column>
{
    private static readonly SchemaShape _empty = new([]);

    private readonly Column[] _columns;

    public SchemaShape(IEnumerable<Column> columns) => _columns = [.. columns];

    public int Count => _columns.Length;

    public Column this[int index] => _columns[index];

    public IEnumerator<Column> GetEnumerator() => ((IEnumerable<Column>)_columns).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    internal static SchemaShape Create(DataViewSchema schema) =>
        new(schema.Where(column => !column.IsHidden).Select(column => Create(column.Name, column.Type, Create(column.Annotations.Schema))));

    private static Column Create(string name, DataViewType type, SchemaShape annotations)
    {
        var vector = type as VectorDataViewType;
        var kind = vector switch
        {
            null => Column.VectorKind.Scalar,
            { IsKnownSize: true } => Column.VectorKind.Vector,
            _ => Column.VectorKind.VariableVector,
        };
        var itemType = vector?.ItemType ?? type;
        return itemType is KeyDataViewType key
            ? new Column(name, kind, key.RawType.ToNumberType(), isKey: true, annotations)
            : new Column(name, kind, itemType, isKey: false, annotations);
    }

    internal bool TryFindColumn(string name, out Column column)
    {
        int index = Array.FindIndex(_columns, candidate => candidate.Name == name);
        column = index < 0 ? default : _columns[index];
        return index >= 0;
    }

    /// <summary>This shape with the given columns added, or put in the place of those of the same name.</summary>
    internal SchemaShape With(params IEnumerable<Column> columns)
    {
        var result = new OrderedDictionary<string, Column>();
        foreach (var column in _columns.Concat(columns))
            result[column.Name] = column;
        return new SchemaShape(result.Values);
    }

    /// <summary>The shape of one column.</summary>
    public readonly struct Column
    {
        public readonly string Name;
        public readonly VectorKind Kind;

        /// <summary>The type of the value, or of the items of the vector; of a key, the number type that holds it.</summary>
        public readonly DataViewType ItemType;

        public readonly bool IsKey;
        public readonly SchemaShape Annotations;

        internal Column(string name, VectorKind vecKind, DataViewType itemType, bool isKey, SchemaShape annotations = null)
        {
            Contracts.CheckNonEmpty(null, name, nameof(name));
            Contracts.CheckValue(null, itemType, nameof(itemType));
            if (itemType is not PrimitiveDataViewType or KeyDataViewType)
                throw Contracts.ExceptParam(null, nameof(itemType),
                    "Item type must be primitive, and not a key type: that is what isKey is for.");
            Name = name;
            Kind = vecKind;
            ItemType = itemType;
            IsKey = isKey;
            Annotations = annotations ?? _empty;
        }

        /// <summary>Whether a column like <paramref name="source"/> will do where one like this is asked for.</summary>
        internal bool IsCompatibleWith(Column source) =>
            Name == source.Name && Kind == source.Kind && ItemType.Equals(source.ItemType) && IsKey == source.IsKey
            && Annotations.All(wanted => source.Annotations.TryFindColumn(wanted.Name, out var found) && wanted.IsCompatibleWith(found));

        internal string GetTypeString()
        {
            string type = IsKey ? $"Key<{ItemType}>" : ItemType.ToString();
            return Kind switch
            {
                VectorKind.Vector => $"Vector<{type}>",
                VectorKind.VariableVector => $"VarVector<{type}>",
                _ => type,
            };
        }

        public enum VectorKind
        {
            Scalar = 0,
            Vector = 1,
            VariableVector = 2,
        }
    }
}
