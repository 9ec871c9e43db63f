namespace Microsoft.ML.SparseCtr;

/// <summary>How attention is computed. Both ways compute the same, up to rounding.</summary>
public enum AttentionImplementation
{
    /// <summary>In one pass: of vectorized .NET code on the CPU, of kernels of this library on a GPU; as <see cref="Reference"/> where these cannot be had.</summary>
    Fused,

    /// <summary>In plain tensor operators: several times slower and larger, on any device; what the fused one is tested against.</summary>
    Reference,
}
