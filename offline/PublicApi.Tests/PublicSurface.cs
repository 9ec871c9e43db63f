using System.Globalization;
using System.Reflection;

namespace PublicApi.Tests;

/// <summary>A type that an assembly shows.</summary>
/// <param name="Kind">What kind of type it is, with its modifiers; of a delegate, its whole signature.</param>
/// <param name="Bases">Its base class and interfaces.</param>
/// <param name="Members">Its members, one line each; of an enumeration, its values.</param>
internal sealed record ShownType(string Kind, IReadOnlyList<string> Bases, IReadOnlyList<string> Members);

/// <summary>The public and protected types and members of an assembly, in the form of the lists in eng/public-api/reference.</summary>
internal sealed class PublicSurface
{
    private const string Indent = "    ";
    private const BindingFlags Declared =
        BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    private static readonly Dictionary<string, string> _keywords = new()
    {
        ["System.Void"] = "void", ["System.Object"] = "object", ["System.String"] = "string", ["System.Boolean"] = "bool",
        ["System.Byte"] = "byte", ["System.Int32"] = "int", ["System.UInt32"] = "uint", ["System.Int64"] = "long",
        ["System.UInt64"] = "ulong", ["System.Single"] = "float", ["System.Double"] = "double",
    };

    private readonly SortedDictionary<string, ShownType> _types = new(StringComparer.Ordinal);

    private PublicSurface()
    {
    }

    public IReadOnlyDictionary<string, ShownType> Types => _types;

    /// <summary>Reads an assembly's metadata; nothing of it is run.</summary>
    public static PublicSurface Read(string assemblyPath, Func<Type, bool>? filter = null)
    {
        assemblyPath = Path.GetFullPath(assemblyPath);
        var paths = new[] { assemblyPath, typeof(object).Assembly.Location }
            .SelectMany(path => Directory.GetFiles(Path.GetDirectoryName(path)!, "*.dll"))
            .DistinctBy(Path.GetFileName);
        using var context = new MetadataLoadContext(new PathAssemblyResolver(paths));
        var types = context.LoadFromAssemblyPath(assemblyPath).GetExportedTypes();
        return Parse(types.Where(filter ?? (_ => true)).SelectMany(Print));
    }

    /// <summary>Reads the lines of a list: those of types, each followed by those of its members, which are indented.</summary>
    public static PublicSurface Parse(IEnumerable<string> lines)
    {
        var surface = new PublicSurface();
        List<string>? members = null;
        foreach (string line in lines.Where(line => line.Length > 0 && line[0] != '#'))
        {
            if (line.StartsWith(Indent, StringComparison.Ordinal))
            {
                members!.Add(line.Trim());
                continue;
            }
            if (line[0] == '"') // the rest of a member whose default value has a line break
            {
                members![^1] += '\n' + line;
                continue;
            }
            members = [];
            string[] parts = line.Split(" : ", 2);
            // A delegate is a type by its name, which stands before its parameters, and its kind is all of it.
            bool isDelegate = line.StartsWith("delegate ", StringComparison.Ordinal);
            string head = isDelegate ? line[..line.IndexOf('(')] : parts[0];
            int nameStart = NameStart(head);
            surface._types[head[nameStart..]] = new ShownType(
                isDelegate ? line : head[..nameStart].TrimEnd(), parts.Length > 1 && !isDelegate ? SplitList(parts[1]) : [], members);
        }
        return surface;
    }

    /// <summary>What this surface has and <paramref name="reference"/> has not.</summary>
    public IReadOnlyList<string> NotIn(PublicSurface reference)
    {
        var result = new List<string>();
        foreach (var (name, type) in _types)
        {
            if (!reference._types.TryGetValue(name, out var expected))
            {
                result.Add($"{name}: no such type");
                continue;
            }
            if (type.Kind != expected.Kind)
                result.Add($"{name}: it is '{type.Kind}', not '{expected.Kind}'");
            result.AddRange(type.Bases.Except(expected.Bases).Select(missing => $"{name}: no such base: {missing}"));
            bool isEnum = type.Kind == "enum";
            result.AddRange(Flatten(type).Except(Flatten(expected))
                .Select(missing => $"{name}: no such {(isEnum ? "value" : "member")}: {missing}"));
        }
        return result;

        static IEnumerable<string> Flatten(ShownType type) => type.Kind == "enum" ? type.Members.SelectMany(SplitList) : type.Members;
    }

    /// <summary>Where the name starts: after the last space that is not between angle brackets.</summary>
    private static int NameStart(string head)
    {
        int depth = 0;
        for (int i = head.Length - 1; i >= 0; i--)
        {
            depth += head[i] switch { '>' => 1, '<' => -1, _ => 0 };
            if (head[i] == ' ' && depth == 0)
                return i + 1;
        }
        return 0;
    }

    /// <summary>Splits at the commas that are not between angle brackets.</summary>
    private static List<string> SplitList(string list)
    {
        var result = new List<string>();
        int depth = 0, start = 0;
        for (int i = 0; i < list.Length; i++)
        {
            depth += list[i] switch { '<' => 1, '>' => -1, _ => 0 };
            if (list[i] == ',' && depth == 0)
            {
                result.Add(list[start..i].Trim());
                start = i + 1;
            }
        }
        result.Add(list[start..].Trim());
        return result;
    }

    private static IEnumerable<string> Print(Type type)
    {
        string name = (type.Namespace is null ? "" : type.Namespace + ".") + Name(type);
        if (type.BaseType?.FullName == "System.MulticastDelegate")
        {
            var invoke = type.GetMethod("Invoke")!;
            return [$"delegate {Name(invoke.ReturnType)} {name}({Parameters(invoke.GetParameters())})"];
        }
        if (type.IsEnum)
        {
            var values = type.GetFields(BindingFlags.Public | BindingFlags.Static)
                .Select(field => $"{field.Name}={field.GetRawConstantValue()}");
            return [$"enum {name}", Indent + string.Join(", ", values)];
        }
        string kind = type.IsInterface ? "interface" : type.IsValueType ? "struct" : "class";
        string modifiers = kind != "class" ? "" : (type.IsAbstract, type.IsSealed) switch
        {
            (true, true) => "static ",
            (true, false) => "abstract ",
            (false, true) => "sealed ",
            _ => "",
        };
        var bases = type.GetInterfaces().Where(contract => contract.IsVisible);
        if (kind == "class" && type.BaseType is { } baseType && baseType.FullName != "System.Object")
            bases = bases.Prepend(baseType);
        string baseList = string.Join(", ", bases.Select(Name));
        string head = $"{modifiers}{kind} {name}{(baseList.Length > 0 ? " : " : "")}{baseList}";
        return [head, .. Members(type).Select(member => Indent + member)];
    }

    private static IEnumerable<string> Members(Type type)
    {
        foreach (var field in type.GetFields(Declared).Where(field => field.IsPublic || field.IsFamily))
        {
            string modifiers = (field.IsLiteral ? "const " : field.IsStatic ? "static " : "") + (field.IsInitOnly ? "readonly " : "");
            string value = field.IsLiteral ? $" = {field.GetRawConstantValue()}" : "";
            yield return $"{(field.IsPublic ? "public" : "protected")} {modifiers}{Name(field.FieldType)} {field.Name}{value}";
        }
        foreach (var constructor in type.GetConstructors(Declared).Where(constructor => IsShown(constructor) && !constructor.IsStatic))
            yield return $"{Access(constructor)} ctor({Parameters(constructor.GetParameters())})";
        foreach (var property in type.GetProperties(Declared))
        {
            var (get, set) = (property.GetMethod, property.SetMethod);
            if ((IsShown(get) ? get : IsShown(set) ? set : null) is not { } accessor)
                continue;
            string modifiers = accessor.IsStatic ? "static " : accessor.IsAbstract && !type.IsInterface ? "abstract " : "";
            var index = property.GetIndexParameters();
            string name = index.Length > 0 ? $"this[{Parameters(index)}]" : property.Name;
            string accessors = (IsShown(get) ? "get; " : "") + (IsShown(set) ? "set; " : "");
            yield return $"{Access(accessor)} {modifiers}{Name(property.PropertyType)} {name} {{ {accessors}}}";
        }
        foreach (var @event in type.GetEvents(Declared).Where(@event => IsShown(@event.AddMethod)))
            yield return $"public event {Name(@event.EventHandlerType!)} {@event.Name}";
        foreach (var method in type.GetMethods(Declared).Where(method =>
            IsShown(method) && (!method.IsSpecialName || method.Name.StartsWith("op_", StringComparison.Ordinal))))
        {
            string modifiers = method.IsStatic ? "static "
                : type.IsInterface ? ""
                : method.IsAbstract ? "abstract "
                : method.IsVirtual && !method.IsFinal ? "virtual "
                : "";
            var arguments = method.GetGenericArguments();
            string generic = arguments.Length > 0 ? $"<{string.Join(", ", arguments.Select(argument => argument.Name))}>" : "";
            string parameters = Parameters(method.GetParameters());
            yield return $"{Access(method)} {modifiers}{Name(method.ReturnType)} {method.Name}{generic}({parameters})";
        }
    }

    private static bool IsShown(MethodBase? method) =>
        method is not null && (method.IsPublic || method.IsFamily || method.IsFamilyOrAssembly);

    private static string Access(MethodBase method) => method.IsPublic ? "public" : "protected";

    private static string Parameters(ParameterInfo[] parameters) => string.Join(", ", parameters.Select(Parameter));

    private static string Parameter(ParameterInfo parameter)
    {
        bool isParams = parameter.GetCustomAttributesData().Any(data => data.AttributeType.Name == nameof(ParamArrayAttribute));
        string modifier = isParams ? "params "
            : !parameter.ParameterType.IsByRef ? ""
            : parameter.IsOut ? "out "
            : parameter.IsIn ? "in "
            : "ref ";
        string value = !parameter.HasDefaultValue && !parameter.IsOptional ? "" : " = " + RawDefault(parameter) switch
        {
            null => "default",
            string text => $"\"{text}\"",
            bool flag => flag ? "true" : "false",
            var other => Convert.ToString(other, CultureInfo.InvariantCulture),
        };
        return $"{modifier}{Name(parameter.ParameterType)} {parameter.Name}{value}";
    }

    /// <summary>The default value; null also where metadata holds none that can be read, as of a structure.</summary>
    private static object? RawDefault(ParameterInfo parameter)
    {
        try
        {
            return parameter.RawDefaultValue;
        }
        catch (Exception e) when (e is BadImageFormatException or FormatException or InvalidOperationException)
        {
            return null;
        }
    }

    private static string Name(Type type)
    {
        if (type.IsByRef)
            return Name(type.GetElementType()!);
        if (type.IsArray)
            return $"{Name(type.GetElementType()!)}[{new string(',', type.GetArrayRank() - 1)}]";
        if (type.IsPointer)
            return Name(type.GetElementType()!) + "*";
        if (type.IsGenericParameter)
            return type.Name;
        if (type.FullName is { } fullName && _keywords.TryGetValue(fullName, out string? keyword))
            return keyword;
        var arguments = type.GetGenericArguments();
        if (type is { Namespace: "System", Name: "Nullable`1", FullName: not null })
            return Name(arguments[0]) + "?";
        // The arguments of a nested type are those of the types around it, and then its own.
        var own = arguments.Skip(type.DeclaringType?.GetGenericArguments().Length ?? 0).Select(Name).ToArray();
        return SimpleName(type) + (own.Length > 0 ? $"<{string.Join(", ", own)}>" : "");
    }

    private static string SimpleName(Type type) =>
        (type.DeclaringType is { } around ? SimpleName(around) + "." : "") + type.Name.Split('`')[0];
}
