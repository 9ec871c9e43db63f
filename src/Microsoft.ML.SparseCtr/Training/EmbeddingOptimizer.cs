namespace Microsoft.ML.SparseCtr;

/// <summary>How the embeddings of ids are trained. Both cost what the rows cost that a batch looks up, however many the table has.</summary>
public enum EmbeddingOptimizer
{
    /// <summary>AdamW, as for the network's other weights. Training holds two more numbers for each weight, its moments.</summary>
    AdamW,

    /// <summary>
    /// Row-wise Adagrad, as in DLRM and TorchRec: training holds one more number for each row, the sum of its mean squared gradients so far. The
    /// steps of a row become shorter the more gradients it has had.
    /// </summary>
    RowwiseAdagrad,
}
