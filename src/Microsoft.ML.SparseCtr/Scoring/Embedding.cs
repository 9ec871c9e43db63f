namespace Microsoft.ML.SparseCtr;

/// <summary>Looks up the embeddings of a field's keys, as <see cref="IdEmbedding"/> does.</summary>
internal sealed unsafe class Embedding
{
    private readonly KeyField _field;
    private readonly int _dimension;
    private readonly Weight _table;
    private readonly Weight? _factors;

    public Embedding(WeightReader reader, KeyField field, int dimension)
    {
        (_field, _dimension) = (field, dimension);
        _table = reader.In("table").Take("weight", field.TableRows, dimension);
        if (field.IsHashed)
            _factors = reader.In("factors").Take("weight", field.TableRows, dimension);
    }

    /// <summary>The rows of the table in which every key has one of its own; null where keys are hashed.</summary>
    public long? DirectRows => _factors is null ? _field.TableRows : null;

    /// <summary>Writes the embedding of a key, 0 to <see cref="KeyField.KeyCount"/> or the field's <see cref="KeyField.CandidateKey"/>.</summary>
    public void Write(int key, float* to)
    {
        if (_factors is null)
        {
            new ReadOnlySpan<float>(Row(_table, key), _dimension).CopyTo(new Span<float>(to, _dimension));
            return;
        }
        float* left = Row(_table, RowHash.First.RowOf(key, _field)), right = Row(_factors, RowHash.Second.RowOf(key, _field));
        for (int i = 0; i < _dimension; i++)
            to[i] = left[i] * right[i];
    }

    /// <summary>Writes the mean of the embeddings of some keys.</summary>
    /// <param name="keys">The keys; none counts as the missing one.</param>
    /// <param name="to">Receives the mean.</param>
    /// <param name="one">Room for one embedding.</param>
    public void WriteMean(ReadOnlySpan<int> keys, float* to, float* one)
    {
        Write(keys.IsEmpty ? 0 : keys[0], to);
        if (keys.Length <= 1)
            return;
        foreach (int key in keys[1..])
        {
            Write(key, one);
            SmallMatrix.AddScaled(one, 1, to, _dimension);
        }
        SmallMatrix.CopyScaled(to, 1f / keys.Length, to, _dimension);
    }

    private float* Row(Weight table, long row) => (ulong)row < (ulong)_field.TableRows
        ? table.Values + row * _dimension
        : throw new ArgumentOutOfRangeException(nameof(row), row, $"{_field.Name} has no such key");
}
