namespace Microsoft.ML.SparseCtr;

/// <summary>What compares tokens.</summary>
internal interface IAttention
{
    /// <summary>Changes the first weights, once all have been drawn, to those that attention learns from best. No gradients are recorded meanwhile.</summary>
    void PrepareFirstWeights();
}
