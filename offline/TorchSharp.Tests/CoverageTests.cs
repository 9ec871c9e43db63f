// No operator is exported without a test that calls it.
using System.Reflection;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;

namespace TorchSharp.Tests;

public class CoverageTests
{
    [Theory]
    [InlineData(typeof(torch))]
    [InlineData(typeof(Tensor))]
    [InlineData(typeof(autograd))]
    [InlineData(typeof(nn))]
    [InlineData(typeof(nn.functional))]
    [InlineData(typeof(nn.init))]
    [InlineData(typeof(nn.utils))]
    [InlineData(typeof(optim))]
    public void Every_exported_operator_is_called_by_a_test(Type type)
    {
        const BindingFlags Own = BindingFlags.Public | BindingFlags.Static | BindingFlags.Instance | BindingFlags.DeclaredOnly;
        var called = MethodsCalledByTests(type.Name);
        string[] missing =
        [
            .. type.GetMethods(Own).Where(method => method.GetBaseDefinition().DeclaringType != typeof(object))
                .Select(method => method.Name).Distinct().Except(called),
        ];
        Assert.True(missing.Length == 0, $"no test calls {string.Join(", ", missing)}");
    }

    private static HashSet<string> MethodsCalledByTests(string typeName)
    {
        using var file = new PEReader(File.OpenRead(typeof(CoverageTests).Assembly.Location));
        var metadata = file.GetMetadataReader();
        return metadata.MemberReferences.Select(metadata.GetMemberReference)
            .Where(member => member.Parent.Kind == HandleKind.TypeReference)
            .Where(member => metadata.GetString(metadata.GetTypeReference((TypeReferenceHandle)member.Parent).Name) == typeName)
            .Select(member => metadata.GetString(member.Name)).ToHashSet();
    }
}
