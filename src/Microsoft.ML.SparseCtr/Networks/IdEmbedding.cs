using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// Embeds the keys of a field: each by a row of its own or, where <see cref="KeyField.IsHashed"/>, by double hashing: the element-wise product
/// of one row of each of two tables, which two hashes of the key choose (docs/model.md).
/// </summary>
internal sealed class IdEmbedding : nn.Module<Tensor, Tensor>
{
    private const double InitialDeviation = 0.1, InitialFactorDeviation = 0.5;

    private readonly KeyField _field;

    // Named as they are registered: TorchSharp registers the fields of a module under their own names too.
    private readonly EmbeddingTable table;
    private readonly EmbeddingTable? factors;

    public IdEmbedding(KeyField field, int dimension) : base(nameof(IdEmbedding))
    {
        _field = field;
        register_module(nameof(table), table = new EmbeddingTable(field.TableRows, dimension, 0, InitialDeviation));
        // Around one, so that the product starts as the embedding of a single table.
        if (field.IsHashed)
            register_module(nameof(factors), factors = new EmbeddingTable(field.TableRows, dimension, 1, InitialFactorDeviation));
    }

    /// <summary>The table in which every key has a row of its own; null where keys are hashed.</summary>
    public EmbeddingTable? DirectTable => factors is null ? table : null;

    public IEnumerable<EmbeddingTable> Tables => factors is null ? [table] : [table, factors];

    /// <param name="keys">[n] keys, or the field's <see cref="KeyField.CandidateKey"/>.</param>
    /// <returns>[n, e].</returns>
    public override Tensor forward(Tensor keys) => Embedded(keys, (table, rows) => table.forward(rows));

    /// <summary>The same without a gradient, and as the tables are: while they are trained, rows may wait for what steps without them do to them.</summary>
    public Tensor Peek(Tensor keys)
    {
        using IDisposable noGradient = no_grad();
        return Embedded(keys, (table, rows) => table.Weight.index_select(0, rows));
    }

    private Tensor Embedded(Tensor keys, Func<EmbeddingTable, Tensor, Tensor> look) => factors is null
        ? look(table, keys)
        : look(table, Rows(keys, RowHash.First)) * look(factors, Rows(keys, RowHash.Second));

    /// <summary><see cref="RowHash.RowOf"/> of each key.</summary>
    private Tensor Rows(Tensor keys, RowHash hash)
    {
        Tensor hashed = (keys * hash.Multiplier + hash.Offset) % RowHash.Prime % _field.KeyRows + 1;
        Tensor ownRow = (keys > _field.KeyCount).to(int64) * (_field.TableRows - 1);
        return where((keys > 0) & (keys <= _field.KeyCount), hashed, ownRow);
    }
}
