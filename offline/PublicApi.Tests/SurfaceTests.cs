using System.Reflection;

namespace PublicApi.Tests;

/// <summary>
/// What the offline assemblies show must be a part of what the real ones show, so that code that compiles here compiles there.
/// </summary>
public class SurfaceTests
{
    /// <summary>The list of TorchSharp lacks the namespace TorchSharp.Utils; but Tensor.data, which it has, returns this type.</summary>
    private const string KnownThoughNotListed = "TorchSharp.Utils.TensorAccessor<T>: no such type";

    private static string Metadata(string key) =>
        typeof(SurfaceTests).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(attribute => attribute.Key == key).Value!;

    private static PublicSurface Reference(string name) =>
        PublicSurface.Parse(File.ReadLines(Path.Combine(AppContext.BaseDirectory, "reference", name + ".txt")));

    [Theory]
    [InlineData("Microsoft.ML/Microsoft.ML.DataView", "Microsoft.ML.DataView-5.0.0")]
    [InlineData("Microsoft.ML/Microsoft.ML.Core", "Microsoft.ML.Core-5.0.0")]
    [InlineData("Microsoft.ML/Microsoft.ML.Data", "Microsoft.ML.Data-5.0.0")]
    [InlineData("Microsoft.ML/Microsoft.ML.SearchSpace", "Microsoft.ML.SearchSpace-0.23.0")]
    [InlineData("Microsoft.ML/Microsoft.ML.AutoML", "Microsoft.ML.AutoML-0.23.0")]
    [InlineData("TorchSharp", "TorchSharp-0.102.7")]
    public void OfflineAssembliesShowNothingThatTheRealOnesDoNot(string project, string list)
    {
        string assembly = Path.Combine(Metadata("OfflineRoot"), project, Metadata("BuildFolder"), Path.GetFileName(project) + ".dll");
        var surface = PublicSurface.Read(assembly);
        Assert.NotEmpty(surface.Types);
        var excess = surface.NotIn(Reference(list)).Where(line => line != KnownThoughNotListed).ToArray();
        Assert.True(excess.Length == 0, string.Join(Environment.NewLine, excess));
    }

    [Fact]
    public void WhatTheRealAssemblyDoesNotHaveIsFound()
    {
        var surface = PublicSurface.Read(typeof(SurfaceTests).Assembly.Location, type =>
            type.Namespace == typeof(Microsoft.ML.Runtime.IPipe<>).Namespace);
        Assert.Equal(
            [
                "Microsoft.ML.Runtime.ChannelMessageKind: no such value: Fatal=4",
                "Microsoft.ML.Runtime.IPipe<TMessage>: no such base: IAsyncDisposable",
                "Microsoft.ML.Runtime.IPipe<TMessage>: no such member: public void Send(TMessage message)",
                "Microsoft.ML.Runtime.MadeUp: no such type",
                "Microsoft.ML.Runtime.ProgressHeader: it is 'class', not 'sealed class'",
                "Microsoft.ML.Runtime.ProgressHeader: no such member: public ctor(params string[] metricNames)",
                "Microsoft.ML.Runtime.ProgressHeader: no such member: public void MadeUp(int count = 3)",
            ],
            surface.NotIn(Reference("Microsoft.ML.Core-5.0.0")));
    }

    [Fact]
    public void ASurfaceIsWhollyInItself()
    {
        var surface = PublicSurface.Read(typeof(SurfaceTests).Assembly.Location);
        Assert.Empty(surface.NotIn(surface));
    }

    [Theory]
    [InlineData("Microsoft.ML.DataView-5.0.0")]
    [InlineData("TorchSharp-0.102.7")]
    public void ListsAreRead(string list)
    {
        var surface = Reference(list);
        Assert.True(surface.Types.Count > 20);
        Assert.All(surface.Types.Values, type => Assert.NotEmpty(type.Kind));
    }
}
