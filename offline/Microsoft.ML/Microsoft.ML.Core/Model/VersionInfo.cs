using Microsoft.ML.Runtime;

namespace Microsoft.ML;

/// <summary>What a component writes at the head of its part of a model file: its format, the format's versions, and its loader.</summary>
internal readonly struct VersionInfo
{
    public const int MaxLoaderSignatureLength = 24;

    /// <summary>The eight characters of the model signature, the first in the lowest byte.</summary>
    public readonly ulong ModelSignature;

    public readonly uint VerWrittenCur;
    public readonly uint VerReadableCur;
    public readonly uint VerWeCanReadBack;
    public readonly string LoaderAssemblyName;
    public readonly string LoaderSignature;
    public readonly string LoaderSignatureAlt;

    public VersionInfo(string modelSignature, uint verWrittenCur, uint verReadableCur, uint verWeCanReadBack,
        string loaderAssemblyName, string loaderSignature = null, string loaderSignatureAlt = null)
    {
        if (modelSignature?.Length != 8 || modelSignature.Any(ch => ch > 0xFF))
            throw Contracts.ExceptParam(null, nameof(modelSignature), "Model signature must be eight characters.");
        CheckLength(loaderSignature, nameof(loaderSignature));
        CheckLength(loaderSignatureAlt, nameof(loaderSignatureAlt));
        for (int i = 0; i < 8; i++)
            ModelSignature |= (ulong)modelSignature[i] << (8 * i);
        VerWrittenCur = verWrittenCur;
        VerReadableCur = verReadableCur;
        VerWeCanReadBack = verWeCanReadBack;
        LoaderAssemblyName = loaderAssemblyName;
        LoaderSignature = loaderSignature;
        LoaderSignatureAlt = loaderSignatureAlt;
    }

    private static void CheckLength(string loaderSignature, string paramName)
    {
        if (loaderSignature?.Length > MaxLoaderSignatureLength)
            throw Contracts.ExceptParam(null, paramName, $"Must be at most {MaxLoaderSignatureLength} characters.");
    }
}
