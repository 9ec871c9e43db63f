using System.Buffers;
using System.Numerics;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Microsoft.ML.SparseCtr;

/// <summary>The events whose fingerprints (<see cref="SimHash"/>) are nearest to a candidate's.</summary>
internal static unsafe class HammingSearch
{
    /// <summary>
    /// Finds the min(k, events) nearest by Hamming distance, of equally near ones the more recent. Goes from the latest event to the oldest and
    /// skips, at the speed of comparing, what is not nearer than the k nearest so far. Each event that is not skipped makes the sum of the k
    /// smallest distances fall, so that these are few in any order: at most k·(bits + 1).
    /// </summary>
    /// <param name="candidate">Its fingerprint: 64 bits per word.</param>
    /// <param name="events">The events' fingerprints, oldest first, each as long as the candidate's.</param>
    /// <param name="k">How many are wanted; not negative.</param>
    /// <param name="places">Receives the places of the events found, in ascending order.</param>
    /// <returns>How many were found.</returns>
    public static int Nearest(ReadOnlySpan<ulong> candidate, ReadOnlySpan<ulong> events, int k, Span<int> places)
    {
        int count = events.Length / candidate.Length;
        k = Math.Min(k, count);
        if (k == 0)
            return 0;

        (int Place, int Distance)[] found = ArrayPool<(int Place, int Distance)>.Shared.Rent(count);
        Span<int> atDistance = stackalloc int[64 * candidate.Length + 1];
        int limit = atDistance.Length, nearer = 0, all = 0;
        fixed (ulong* wanted = candidate, first = events)
        {
            for (int place = count; limit > 0 && (place = LatestNearer(wanted, first, candidate.Length, place, limit, out int distance)) >= 0;)
            {
                found[all++] = (place, distance);
                atDistance[distance]++;
                nearer++;
                // An older event has to be nearer than the k-th nearest so far, which is at the limit.
                while (nearer >= k)
                    nearer -= atDistance[--limit];
            }
        }

        int atLimit = k - nearer, left = k;
        foreach ((int place, int distance) in found.AsSpan(0, all))
            if (distance < limit || (distance == limit && atLimit-- > 0))
                places[--left] = place;
        ArrayPool<(int Place, int Distance)>.Shared.Return(found);
        return k;
    }

    /// <summary>The latest event before a place that is nearer than the limit, or −1.</summary>
    private static int LatestNearer(ulong* candidate, ulong* events, int words, int before, int limit, out int distance)
    {
        bool byFours = words == 1 && Avx2.IsSupported;
        distance = 0;
        while (before > 0)
        {
            if (byFours && before % 4 == 0 && (before = SkipFours(*candidate, events, before, limit)) == 0)
                break;
            ulong* fingerprint = events + (nint)(--before) * words;
            distance = BitOperations.PopCount(*candidate ^ *fingerprint);
            for (int word = 1; word < words; word++)
                distance += BitOperations.PopCount(candidate[word] ^ fingerprint[word]);
            if (distance < limit)
                return before;
        }
        return -1;
    }

    /// <summary>The end of the latest four of one-word events that has one nearer than the limit, or 0; from a multiple of 4.</summary>
    private static int SkipFours(ulong candidate, ulong* events, int before, int limit)
    {
        Vector256<ulong> wanted = Vector256.Create(candidate);
        Vector256<long> limits = Vector256.Create((long)limit);
        Vector256<byte> lowHalf = Vector256.Create((byte)0xF);
        Vector128<byte> counts = Vector128.Create((byte)0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
        Vector256<byte> bitsOf = Vector256.Create(counts, counts);
        for (; before > 0; before -= 4)
        {
            Vector256<ulong> differences = Vector256.Load(events + before - 4) ^ wanted;
            Vector256<byte> low = differences.AsByte() & lowHalf, high = Vector256.ShiftRightLogical(differences, 4).AsByte() & lowHalf;
            Vector256<byte> bits = Avx2.Shuffle(bitsOf, low) + Avx2.Shuffle(bitsOf, high);
            if (Vector256.LessThanAny(Avx2.SumAbsoluteDifferences(bits, Vector256<byte>.Zero).AsInt64(), limits))
                break;
        }
        return before;
    }
}
