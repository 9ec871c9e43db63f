using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.CompilerServices;

namespace Microsoft.ML.SparseCtr.Tests;

public class InteropTests
{
    private static readonly Assembly s_product = typeof(SparseCtrTrainer).Assembly;

    private static readonly Dictionary<short, OpCode> s_opCodes = typeof(OpCodes).GetFields(BindingFlags.Public | BindingFlags.Static)
        .Select(field => (OpCode)field.GetValue(null)!).ToDictionary(code => code.Value);

    [Fact]
    public void Only_Interop_uses_internals_of_ML_NET()
    {
        ILookup<bool, (MethodBase User, MemberInfo Used)> uses = AllMethods().SelectMany(method => UsedBy(method).Where(IsInternalOfMLNet).Select(used => (method, used)))
            .ToLookup(use => IsInInterop(use.method.DeclaringType!));

        Assert.Empty(uses[false].Select(use => $"{use.User.DeclaringType}.{use.User.Name} uses {use.Used.DeclaringType}.{use.Used.Name}"));
        // The test sees internals where there are some.
        Assert.Contains(uses[true], use => use.Used.Name == "GetEnvironment");
        Assert.Contains(uses[true], use => use.Used.Name == "SaveBinaryStream");
    }

    private static IEnumerable<MethodBase> AllMethods() => s_product.GetTypes().SelectMany(type => type.GetMembers(
        BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly)).OfType<MethodBase>();

    private static bool IsInInterop(Type type) => (type.Namespace ?? "").EndsWith(".Interop", StringComparison.Ordinal) || (type.DeclaringType is { } outer && IsInInterop(outer));

    private static bool IsInternalOfMLNet(MemberInfo member)
    {
        Type type = member as Type ?? member.DeclaringType!;
        return type.Assembly != s_product && (type.Assembly.GetName().Name ?? "").StartsWith("Microsoft.ML", StringComparison.Ordinal)
            && (!type.IsVisible || member is MethodBase { IsPublic: false, IsFamily: false, IsFamilyOrAssembly: false }
                or FieldInfo { IsPublic: false, IsFamily: false, IsFamilyOrAssembly: false });
    }

    /// <summary>The members whose tokens stand in a method's code.</summary>
    private static IEnumerable<MemberInfo> UsedBy(MethodBase method)
    {
        byte[] code = method.GetMethodBody()?.GetILAsByteArray() ?? [];
        Type[] typeArguments = method.DeclaringType is { IsGenericType: true } type ? type.GetGenericArguments() : [];
        Type[] methodArguments = method.IsGenericMethod ? method.GetGenericArguments() : [];
        for (int i = 0; i < code.Length;)
        {
            short value = code[i] == 0xFE ? (short)(0xFE00 | code[i + 1]) : code[i];
            OpCode opCode = s_opCodes[value];
            i += opCode.Size;
            if (opCode.OperandType is OperandType.InlineField or OperandType.InlineMethod or OperandType.InlineType or OperandType.InlineTok)
                yield return method.Module.ResolveMember(BitConverter.ToInt32(code, i), typeArguments, methodArguments)!;
            i += opCode.OperandType switch
            {
                OperandType.InlineNone => 0,
                OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar => 1,
                OperandType.InlineVar => 2,
                OperandType.InlineI8 or OperandType.InlineR => 8,
                OperandType.InlineSwitch => 4 + 4 * BitConverter.ToInt32(code, i),
                _ => 4,
            };
        }
    }
}
