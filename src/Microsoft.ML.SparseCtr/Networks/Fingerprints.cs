using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// The SimHash fingerprints of a field's keys: those of their embeddings as they are now. Once the weights change no more, they are kept, a row of the
/// table each from the first use on, and a key costs one look into them.
/// </summary>
internal sealed class Fingerprints(IdEmbedding field, SimHash hash)
{
    private const int RowsAtOnce = 65_536;

    /// <summary>Those of all rows of the table; null while weights change, or where keys share rows.</summary>
    private Lazy<ulong[]>? _kept;

    /// <summary>Says that the weights change no more.</summary>
    public void Freeze()
    {
        if (field.DirectTable is { } table)
            _kept = new Lazy<ulong[]>(() => OfAllRows(table.Weight.shape[0]), LazyThreadSafetyMode.PublicationOnly);
    }

    /// <summary>Writes the fingerprints of keys, the words of each behind so many others of the same token.</summary>
    /// <param name="keys">[n] the keys of the field.</param>
    /// <param name="words">Receives the first word of the first key's, and each further key's so many words on.</param>
    /// <param name="stride">From a token's words to the next one's.</param>
    public void Write(Tensor keys, Span<ulong> words, int stride)
    {
        Tensor wanted = keys.cpu();
        ReadOnlySpan<long> rows = MemoryMarshal.Cast<byte, long>(wanted.bytes);
        ulong[] fingerprints = _kept?.Value ?? Of(keys);
        for (int i = 0; i < rows.Length; i++)
        {
            long row = _kept is not null ? rows[i] : i;
            fingerprints.AsSpan((int)row * hash.Words, hash.Words).CopyTo(words[(i * stride)..]);
        }
        GC.KeepAlive(wanted);
    }

    private ulong[] OfAllRows(long rows)
    {
        var all = new ulong[rows * hash.Words];
        for (long first = 0; first < rows; first += RowsAtOnce)
        {
            using DisposeScope scope = NewDisposeScope();
            Of(arange(first, Math.Min(first + RowsAtOnce, rows), int64)).CopyTo(all, first * hash.Words);
        }
        return all;
    }

    private ulong[] Of(Tensor keys)
    {
        Tensor embeddings = field.Peek(keys).to(float32).cpu().contiguous();
        var fingerprints = new ulong[keys.shape[0] * hash.Words];
        hash.Fingerprint(MemoryMarshal.Cast<byte, float>(embeddings.bytes), fingerprints);
        GC.KeepAlive(embeddings);
        return fingerprints;
    }
}
