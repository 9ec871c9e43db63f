using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>The keys that a group of queries sees in one branch of EvoAttention, for G groups of S queries and T keys each.</summary>
/// <param name="KeyIndex">[G·T] rows of the key matrix (see <see cref="EvoAttentionLayout"/>).</param>
/// <param name="Hidden">[G, 1, S, T] true where the query must not see the key.</param>
/// <param name="Temporal">[G, 3, S·T] the three RelTemporal features of each pair; zero for the zero token.</param>
internal sealed record BranchLayout(Tensor KeyIndex, Tensor Hidden, Tensor Temporal);

/// <summary>G groups of S queries, and what they see in each branch.</summary>
/// <param name="Groups">G.</param>
/// <param name="Size">S.</param>
/// <param name="QueryIndex">[G·S] the token of each query; a group that is not full repeats its last token.</param>
/// <param name="OutputIndex">For each of the tokens, in order, its place among the G·S queries.</param>
/// <param name="Branches">Global, transition, local.</param>
internal sealed record QueryGroups(long Groups, long Size, Tensor QueryIndex, Tensor OutputIndex, BranchLayout[] Branches);

/// <summary>
/// An <see cref="EvoAttentionPlan"/> as the index tensors of the reference.
/// <para>
/// The key matrix has the N tokens first, then the C chunks of all requests, and last the zero token, p_0. Behaviors ask in groups of up to w
/// consecutive ones of one request, and 64, candidates in groups of up to eight, so that all three branches are small dense products. A group
/// has P + 1, P·r + 1 or less than w + 64 keys; more where candidates of different pasts share a history, as the keys of
/// a group are those that any of its queries sees.
/// </para>
/// </summary>
internal sealed class EvoAttentionLayout
{
    public const int Branches = 3;

    public required long ChunkCount { get; init; }

    /// <summary>[members] the behaviors of all chunks, chunk after chunk.</summary>
    public required Tensor Member { get; init; }

    /// <summary>[members] the chunk of each.</summary>
    public required Tensor ChunkOfMember { get; init; }

    /// <summary>[chunks, 1] one over the number of the chunk's behaviors.</summary>
    public required Tensor InverseChunkLength { get; init; }

    /// <summary>Null where the network has one block: the last one asks for candidates only.</summary>
    public required QueryGroups? Behaviors { get; init; }

    public required QueryGroups Candidates { get; init; }

    public static EvoAttentionLayout Create(EvoAttentionPlan plan, Device device, ScalarType dtype) => new Builder(plan, device, dtype).Build();

    private sealed class Builder(EvoAttentionPlan plan, Device device, ScalarType dtype)
    {
        private const int BehaviorsPerGroup = 64, CandidatesPerGroup = 8;

        /// <summary>Consecutive tokens of one request.</summary>
        private sealed record Group(RequestPlan Request, Interval Queries);

        /// <summary>A row of the key matrix, and the chunk that a query must see to see it; none for the zero token and for local keys.</summary>
        private readonly record struct Key(int Row, int? Chunk = null);

        private readonly int _zeroToken = plan.TokenCount + plan.Chunks.Length;

        public EvoAttentionLayout Build()
        {
            long[] keyTimes = [.. plan.Times, .. plan.Chunks.Select(chunk => plan.Times[chunk.To - 1]), 0];
            var temporal = new RelTemporalFeatures(keyTimes, _zeroToken, plan.Options, device, dtype);
            long[] members = plan.Chunks.SelectMany(Numbers).Select(behavior => (long)behavior).ToArray();
            long[] chunkOfMember = plan.Chunks.SelectMany((chunk, index) => Enumerable.Repeat((long)index, chunk.Count)).ToArray();
            double[] inverseLength = plan.Chunks.Select(chunk => 1.0 / chunk.Count).ToArray();
            return new EvoAttentionLayout
            {
                ChunkCount = plan.Chunks.Length,
                Member = tensor(members, device: device),
                ChunkOfMember = tensor(chunkOfMember, device: device),
                InverseChunkLength = tensor(inverseLength, dtype, device).reshape(inverseLength.Length, 1),
                Behaviors = plan.Options.NumberOfBlocks > 1 ? Groups(request => request.Behaviors, Math.Min(plan.Options.Shape.Window, BehaviorsPerGroup), temporal) : null,
                Candidates = Groups(request => request.Candidates, CandidatesPerGroup, temporal),
            };
        }

        private QueryGroups Groups(Func<RequestPlan, Interval> queriesOf, int maximumSize, RelTemporalFeatures temporal)
        {
            int size = Math.Min(maximumSize, Math.Max(1, plan.Requests.Max(request => queriesOf(request).Count)));
            var groups = new List<Group>();
            foreach (RequestPlan request in plan.Requests)
            {
                Interval queries = queriesOf(request);
                for (int first = queries.From; first < queries.To; first += size)
                    groups.Add(new Group(request, new(first, Math.Min(first + size, queries.To))));
            }

            // A group that is not full repeats its last query; nothing reads what the repetitions give.
            long[] queryIndex = groups.SelectMany(
                group => Enumerable.Range(group.Queries.From, size).Select(query => (long)Math.Min(query, group.Queries.To - 1))).ToArray();
            long[] outputIndex = groups.SelectMany(
                (group, index) => Enumerable.Range(0, group.Queries.Count).Select(place => (long)index * size + place)).ToArray();
            Tensor index = tensor(queryIndex, device: device);
            BranchLayout[] branches = [Branch(GlobalKeys), Branch(TransitionKeys), Branch(LocalKeys)];
            return new QueryGroups(groups.Count, size, index, tensor(outputIndex, device: device), branches);

            BranchLayout Branch(Func<Group, IEnumerable<Key>> keysOf)
            {
                Key[][] keysOfGroups = groups.Select(group => keysOf(group).ToArray()).ToArray();
                int count = keysOfGroups.Select(keys => keys.Length).DefaultIfEmpty().Max();
                var keyIndex = new long[groups.Count * count];
                var hidden = new bool[groups.Count * size * count];
                Array.Fill(keyIndex, _zeroToken);
                Array.Fill(hidden, true);
                for (int group = 0; group < groups.Count; group++)
                {
                    Key[] keys = keysOfGroups[group];
                    for (int key = 0; key < keys.Length; key++)
                        keyIndex[group * count + key] = keys[key].Row;
                    for (int place = group * size; place < (group + 1) * size; place++)
                    {
                        for (int key = 0; key < keys.Length; key++)
                            hidden[place * count + key] = !Sees((int)queryIndex[place], keys[key]);
                    }
                }
                Tensor rows = tensor(keyIndex, device: device);
                Tensor mask = tensor(hidden, device: device).reshape(groups.Count, 1, size, count);
                return new BranchLayout(rows, mask, temporal.Of(index, rows, groups.Count, size, count));
            }
        }

        private bool Sees(int query, Key key)
        {
            QueryPlan seen = plan.Queries[query];
            return key.Row == _zeroToken || (key.Chunk is int chunk
                ? seen.Merged.Contains(chunk) || seen.Complete.Contains(chunk) || seen.Open.Contains(chunk)
                : key.Row == query || seen.Local.Contains(key.Row));
        }

        private IEnumerable<Key> GlobalKeys(Group group)
            => ChunksOf(group).Select(chunk => new Key(plan.TokenCount + chunk, chunk)).Prepend(new Key(_zeroToken));

        private IEnumerable<Key> TransitionKeys(Group group)
            => ChunksOf(group).SelectMany(chunk => Numbers(plan.TransitionsOf(chunk)).Select(row => new Key(row, chunk))).Prepend(new Key(_zeroToken));

        private IEnumerable<Key> LocalKeys(Group group)
            => Numbers(Covered(group).Local).Union(Numbers(group.Queries)).Select(row => new Key(row));

        private IEnumerable<int> ChunksOf(Group group)
        {
            QueryPlan seen = Covered(group);
            return Enumerable.Range(0, QueryPlan.ChunkKinds).SelectMany(kind => Numbers(seen.Chunks(kind)));
        }

        private QueryPlan Covered(Group group) => Numbers(group.Queries).Select(query => plan.Queries[query]).Aggregate((left, right) => left.Cover(right));

        private static IEnumerable<int> Numbers(Interval interval) => Enumerable.Range(interval.From, interval.Count);
    }
}
