namespace Microsoft.ML;

/// <summary>The versions of this assembly's parts of model files: all are at their first.</summary>
internal static class ModelVersions
{
    public static VersionInfo First(string modelSignature, string loaderSignature) => new(
        modelSignature, verWrittenCur: 0x00010001, verReadableCur: 0x00010001, verWeCanReadBack: 0x00010001,
        loaderAssemblyName: typeof(ModelVersions).Assembly.GetName().Name, loaderSignature);
}
