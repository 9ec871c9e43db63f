using System.Linq.Expressions;
using System.Reflection;
using System.Runtime.CompilerServices;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Data;

/// <summary>The one place that binds members of row classes to columns.</summary>
internal static class RowMember
{
    /// <summary>The public fields and properties that can be columns when rows are read, written or both.</summary>
    public static IEnumerable<MemberInfo> GetMembers(Type rowType, SchemaDefinition.Direction direction)
    {
        const BindingFlags flags = BindingFlags.Public | BindingFlags.Instance;
        bool read = direction.HasFlag(SchemaDefinition.Direction.Read), write = direction.HasFlag(SchemaDefinition.Direction.Write);
        var fields = rowType.GetFields(flags).Where(field => !write || !field.IsInitOnly);
        var properties = rowType.GetProperties(flags).Where(property => property.GetIndexParameters().Length == 0
            && (!read || property.GetGetMethod() is not null) && (!write || property.GetSetMethod() is not null));
        return fields.Concat<MemberInfo>(properties).Where(member => !member.IsDefined(typeof(NoColumnAttribute)));
    }

    public static Type GetMemberType(MemberInfo member) =>
        member is FieldInfo field ? field.FieldType : ((PropertyInfo)member).PropertyType;

    /// <summary>The type of a member's column, by the member's type and attributes.</summary>
    public static DataViewType GetColumnType(MemberInfo member)
    {
        var itemType = GetItemType(GetMemberType(member), out bool isVector);
        var type = PrimitiveTypes.FromClrTypeOrNull(itemType) ?? throw new ArgumentOutOfRangeException("rawType",
            $"Could not determine an IDataView type and registered custom types for member {member.Name}");
        if (member.GetCustomAttribute<KeyTypeAttribute>() is { } key)
        {
            type = KeyDataViewType.IsValidDataType(itemType) ? key.GetKeyType(itemType) : throw new ArgumentException(
                $"Member {member.Name} marked with KeyType attribute, but does not appear to be a valid kind of data for a key type");
        }
        var dimensions = member.GetCustomAttribute<VectorTypeAttribute>()?.Dimensions;
        if (dimensions is not null && !isVector)
            throw new ArgumentException($"Member {member.Name} marked with VectorType attribute, but does not appear to be a vector type");
        return isVector ? new VectorDataViewType(type, dimensions ?? [0]) : type;
    }

    /// <summary>The type of the items that an array or <see cref="VBuffer{T}"/> holds; any other type itself.</summary>
    public static Type GetItemType(Type memberType, out bool isVector)
    {
        isVector = memberType.IsSZArray || (memberType.IsGenericType && memberType.GetGenericTypeDefinition() == typeof(VBuffer<>));
        return !isVector ? memberType : memberType.IsArray ? memberType.GetElementType() : memberType.GetGenericArguments()[0];
    }

    /// <summary>
    /// How a member of the one type holds values of the other: a <see cref="MemberCodec{TMember, TValue}"/>, or null if it cannot.
    /// </summary>
    public static object GetCodecOrNull(Type memberType, Type valueType)
    {
        if (memberType == typeof(string))
            return valueType == typeof(ReadOnlyMemory<char>) ? new TextCodec() : null;
        if (!memberType.IsSZArray)
            return memberType == valueType ? GenericCall.Invoke<object>(GetPlainCodec<int>, memberType) : null;
        var valueItemType = GetItemType(valueType, out bool isVector);
        var itemType = memberType.GetElementType();
        var items = isVector ? GetCodecOrNull(itemType, valueItemType) : null;
        return items is null ? null : Activator.CreateInstance(typeof(ArrayCodec<,>).MakeGenericType(itemType, valueItemType), items);
    }

    private static object GetPlainCodec<T>()
    {
        var itemType = GetItemType(typeof(T), out bool isVector);
        return isVector ? Activator.CreateInstance(typeof(VectorCodec<>).MakeGenericType(itemType)) : new ScalarCodec<T>();
    }
}

/// <summary>A member of <typeparamref name="TRow"/> that is a column.</summary>
internal abstract class RowMember<TRow>(SchemaDefinition.Column definition) where TRow : class
{
    public string Name => definition.ColumnName;

    public DataViewSchema.DetachedColumn Column { get; } = new(definition.ColumnName, definition.ColumnType, definition.Annotations);

    /// <summary>A getter of the column's value in the row that <paramref name="row"/> holds at the time.</summary>
    public abstract Delegate MakeGetter(StrongBox<TRow> row);

    /// <summary>What sets the member to the value of <paramref name="column"/> in <paramref name="source"/>.</summary>
    public abstract Action<TRow> MakeSetter(DataViewRow source, DataViewSchema.Column column);

    public static RowMember<TRow>[] GetAll(SchemaDefinition definition, SchemaDefinition.Direction direction)
    {
        definition ??= SchemaDefinition.Create(typeof(TRow), direction);
        var members = RowMember.GetMembers(typeof(TRow), direction).ToDictionary(member => member.Name);
        return [.. definition.Select(column => Create(column, members.GetValueOrDefault(column.MemberName)
            ?? throw Contracts.ExceptParam(null, nameof(definition),
                $"No field or property with name '{column.MemberName}' found in type '{typeof(TRow)}'")))];
    }

    /// <summary>
    /// The row class by its attributes, with the annotations of the columns of <paramref name="schema"/> that have its names.
    /// </summary>
    public static SchemaDefinition GetDefinition(DataViewSchema schema)
    {
        Contracts.CheckValue(null, schema, nameof(schema));
        var definition = SchemaDefinition.Create(typeof(TRow), SchemaDefinition.Direction.Read);
        foreach (var column in definition)
        {
            if (schema.GetColumnOrNull(column.ColumnName) is not { } source)
                continue;
            if (source.Type.RawType != column.ColumnType.RawType)
                throw Contracts.ExceptSchemaMismatch(nameof(schema), "input", column.ColumnName, column.ColumnType.ToString(),
                    source.Type.ToString());
            column.ColumnType = source.Type;
            column.AddAnnotations(source.Annotations);
        }
        return definition;
    }

    private static RowMember<TRow> Create(SchemaDefinition.Column column, MemberInfo member)
    {
        var memberType = RowMember.GetMemberType(member);
        var codec = RowMember.GetCodecOrNull(memberType, column.ColumnType.RawType) ?? throw Contracts.Except(null,
            $"Can't bind the IDataView column '{column.ColumnName}' of type '{column.ColumnType}' "
            + $"to field or property '{member.Name}' of type '{memberType}'.");
        return GenericCall.Invoke<RowMember<TRow>>(CreateCore<int, int>, [memberType, column.ColumnType.RawType], column, member, codec);
    }

    private static RowMember<TRow> CreateCore<TMember, TValue>(
        SchemaDefinition.Column column, MemberInfo member, MemberCodec<TMember, TValue> codec) =>
        new RowMember<TRow, TMember, TValue>(column, member, codec);
}

internal sealed class RowMember<TRow, TMember, TValue> : RowMember<TRow> where TRow : class
{
    private readonly MemberCodec<TMember, TValue> _codec;
    private readonly Func<TRow, TMember> _get;
    private readonly Action<TRow, TMember> _set;

    public RowMember(SchemaDefinition.Column definition, MemberInfo member, MemberCodec<TMember, TValue> codec) : base(definition)
    {
        _codec = codec;
        var row = Expression.Parameter(typeof(TRow));
        var value = Expression.Parameter(typeof(TMember));
        var access = Expression.MakeMemberAccess(row, member);
        if (member is FieldInfo or PropertyInfo { CanRead: true })
            _get = Expression.Lambda<Func<TRow, TMember>>(access, row).Compile();
        if (member is FieldInfo { IsInitOnly: false } or PropertyInfo { CanWrite: true })
            _set = Expression.Lambda<Action<TRow, TMember>>(Expression.Assign(access, value), row, value).Compile();
    }

    public override ValueGetter<TValue> MakeGetter(StrongBox<TRow> row) => (ref TValue value) =>
    {
        var current = row.Value
            ?? throw Contracts.Except(null, "There is no row to get a value of: the cursor is before the first or after the last row.");
        _codec.ToValue(_get(current), ref value);
    };

    public override Action<TRow> MakeSetter(DataViewRow source, DataViewSchema.Column column)
    {
        var getter = source.GetGetter<TValue>(column);
        TValue value = default;
        return row =>
        {
            getter(ref value);
            TMember member = _get is null ? default : _get(row);
            _codec.ToMember(value, ref member);
            _set(row, member);
        };
    }
}
