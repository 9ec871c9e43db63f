using System.Reflection;

namespace Microsoft.ML.Data;

/// <summary>Which members of a row class are which columns: made of the class and its attributes, open to change before use.</summary>
public sealed class SchemaDefinition : List<SchemaDefinition.Column>
{
    private SchemaDefinition()
    {
    }

    public Column this[string columnName]
    {
        get => Find(column => column.ColumnName == columnName)
            ?? throw new ArgumentOutOfRangeException(nameof(columnName), $"Column '{columnName}' not found");
        set => this[FindIndex(column => column.ColumnName == columnName) is var index and >= 0
            ? index
            : throw new ArgumentOutOfRangeException(nameof(columnName), $"Column '{columnName}' not found")] = value;
    }

    public static SchemaDefinition Create(Type userType, Direction direction = Direction.Both)
    {
        ArgumentNullException.ThrowIfNull(userType);
        var result = new SchemaDefinition();
        foreach (var member in RowMember.GetMembers(userType, direction))
        {
            string name = member.GetCustomAttribute<ColumnNameAttribute>()?.Name ?? member.Name;
            if (result.Exists(column => column.ColumnName == name))
                throw new ArgumentException($"Duplicate column name '{name}' detected, this is disallowed", nameof(userType));
            result.Add(new Column(member.Name, name, RowMember.GetColumnType(member)));
        }
        return result;
    }

    /// <summary>A member and its column.</summary>
    public sealed class Column
    {
        private readonly Dictionary<string, Action<DataViewSchema.Annotations.Builder>> _annotations = [];

        internal Column(string memberName, string columnName, DataViewType columnType)
        {
            MemberName = memberName;
            ColumnName = columnName;
            ColumnType = columnType;
        }

        public string MemberName { get; }

        public string ColumnName { get; set; }

        public DataViewType ColumnType { get; set; }

        public DataViewSchema.Annotations Annotations
        {
            get
            {
                var builder = new DataViewSchema.Annotations.Builder();
                foreach (var add in _annotations.Values)
                    add(builder);
                return builder.ToAnnotations();
            }
        }

        public void AddAnnotation<T>(string kind, T value, DataViewType annotationType)
        {
            if (!_annotations.TryAdd(kind, builder => builder.Add(kind, annotationType, (ref T destination) => destination = value)))
                throw new ArgumentException($"The column has an annotation '{kind}' already.", nameof(kind));
        }

        /// <summary>Takes over the annotations of a column.</summary>
        internal void AddAnnotations(DataViewSchema.Annotations annotations)
        {
            foreach (var column in annotations.Schema)
                _annotations.TryAdd(column.Name, builder => builder.Add(annotations, name => name == column.Name));
        }
    }

    [Flags]
    public enum Direction
    {
        Read = 1,
        Write = 2,
        Both = Read | Write,
    }
}
