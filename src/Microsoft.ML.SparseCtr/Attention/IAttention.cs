using TorchSharp.Modules;

namespace Microsoft.ML.SparseCtr;

/// <summary>What compares tokens: by products of two linear maps of them.</summary>
internal interface IAttention
{
    /// <summary>Of the tokens that ask.</summary>
    Linear Query { get; }

    /// <summary>Of the tokens that are seen.</summary>
    Linear Key { get; }
}
