using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>The SimHash fingerprints of a field's keys: those of their embeddings as they are now.</summary>
internal sealed class Fingerprints(IdEmbedding field, SimHash hash)
{
    /// <summary>Writes the fingerprints of keys, the words of each behind so many others of the same token.</summary>
    /// <param name="keys">[n] the keys of the field.</param>
    /// <param name="words">Receives the first word of the first key's, and each further key's so many words on.</param>
    /// <param name="stride">From a token's words to the next one's.</param>
    public void Write(Tensor keys, Span<ulong> words, int stride)
    {
        Tensor embeddings = field.Peek(keys).to(float32).cpu().contiguous();
        var fingerprints = new ulong[keys.shape[0] * hash.Words];
        hash.Fingerprint(MemoryMarshal.Cast<byte, float>(embeddings.bytes), fingerprints);
        GC.KeepAlive(embeddings);
        for (int i = 0; i < keys.shape[0]; i++)
            fingerprints.AsSpan(i * hash.Words, hash.Words).CopyTo(words[(i * stride)..]);
    }
}
