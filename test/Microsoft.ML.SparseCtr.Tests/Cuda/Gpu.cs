namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>The GPU of tests that need one.</summary>
internal static class Gpu
{
    public static void SkipIfNone() => Skip.IfNot(TorchSharp.torch.cuda.is_available(), "no GPU");
}
