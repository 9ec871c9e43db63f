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
/// Who sees whom in a packed batch, as index tensors that every block of the network shares.
/// <para>
/// Tokens are packed: the behaviors of all requests, request after request, then the candidates of all requests. The key matrix has
/// those N tokens first, then the C chunks of all requests, and last the zero token, p_0. Behaviors ask in groups of w consecutive
/// ones of one request, candidates in groups of up to eight, so that all three branches are small dense products. No tensor grows with
/// the product of two lengths of a request: a group has at most w or 8 queries, and P + 1, P·r + 1 or less than 2w + 8 keys.
/// </para>
/// </summary>
internal sealed class EvoAttentionLayout
{
    public const int Branches = 3;

    public required long BehaviorCount { get; init; }
    public required long CandidateCount { get; init; }
    public required long ChunkCount { get; init; }

    /// <summary>[behaviors] the chunk, among all chunks of the batch, of each behavior.</summary>
    public required Tensor ChunkOfBehavior { get; init; }

    /// <summary>[chunks, 1] one over the number of the chunk's behaviors.</summary>
    public required Tensor InverseChunkLength { get; init; }

    /// <summary>Null where the network has one block: the last one asks for candidates only.</summary>
    public required QueryGroups? Behaviors { get; init; }

    public required QueryGroups Candidates { get; init; }

    /// <summary>
    /// Lays out a batch.
    /// </summary>
    /// <param name="histories">Unix seconds of the behaviors of each request, ascending.</param>
    /// <param name="candidateTimes">Unix seconds of the candidates of each request.</param>
    /// <param name="config">P, r, w, the time scale and the UTC offset.</param>
    /// <param name="device">Where the tensors go.</param>
    /// <param name="dtype">Type of the floating-point tensors.</param>
    public static EvoAttentionLayout Create(
        IReadOnlyList<long[]> histories, IReadOnlyList<long[]> candidateTimes, SparseCtrConfig config, Device device, ScalarType dtype)
        => new Builder(histories, candidateTimes, config).Build(device, dtype);

    private sealed class Builder
    {
        private const int Local = 2;
        private const int CandidatesPerGroup = 8;

        private readonly IReadOnlyList<long[]> _histories;
        private readonly IReadOnlyList<long[]> _candidateTimes;
        private readonly SparseCtrConfig _config;

        // Of every row of the key matrix: its time. Of every behavior: its chunk. Of every chunk: its length, and the behavior after its last.
        private readonly List<long> _keyTimes = [];
        private readonly List<long> _chunkOfBehavior = [];
        private readonly List<int> _chunkLengths = [];
        private readonly List<int> _chunkEnds = [];

        // Of every request: its first behavior and its first chunk in the batch.
        private readonly int[] _firstBehavior;
        private readonly int[] _firstChunk;
        private readonly int _behaviorCount;
        private readonly int _tokenCount;

        public Builder(IReadOnlyList<long[]> histories, IReadOnlyList<long[]> candidateTimes, SparseCtrConfig config)
        {
            (_histories, _candidateTimes, _config) = (histories, candidateTimes, config);
            _firstBehavior = new int[histories.Count + 1];
            _firstChunk = new int[histories.Count + 1];
            for (int request = 0; request < histories.Count; request++)
                AddChunks(request);
            _behaviorCount = _firstBehavior[^1];
            _tokenCount = _behaviorCount + candidateTimes.Sum(times => times.Length);

            foreach (long[] times in histories.Concat(candidateTimes))
                _keyTimes.AddRange(times);
            foreach (int end in _chunkEnds)
                _keyTimes.Add(_keyTimes[end - 1]);
            _keyTimes.Add(0);
        }

        private int ZeroToken => _keyTimes.Count - 1;

        private void AddChunks(int request)
        {
            long[] times = _histories[request];
            var chunkOfEvent = new int[times.Length];
            int chunks = TimeChunking.LargestGaps(times, _config.NumberOfChunks, chunkOfEvent);
            for (int i = 0; i < times.Length; i++)
            {
                _chunkOfBehavior.Add(_firstChunk[request] + chunkOfEvent[i]);
                if (i + 1 == times.Length || chunkOfEvent[i + 1] != chunkOfEvent[i])
                {
                    int start = chunkOfEvent[i] == 0 ? _firstBehavior[request] : _chunkEnds[^1];
                    _chunkEnds.Add(_firstBehavior[request] + i + 1);
                    _chunkLengths.Add(_chunkEnds[^1] - start);
                }
            }
            _firstBehavior[request + 1] = _firstBehavior[request] + times.Length;
            _firstChunk[request + 1] = _firstChunk[request] + chunks;
        }

        public EvoAttentionLayout Build(Device device, ScalarType dtype)
        {
            int chunkCount = _chunkEnds.Count;
            var temporal = new RelTemporalFeatures(_keyTimes.ToArray(), ZeroToken, _config, device, dtype);
            return new EvoAttentionLayout
            {
                BehaviorCount = _behaviorCount,
                CandidateCount = _tokenCount - _behaviorCount,
                ChunkCount = chunkCount,
                ChunkOfBehavior = tensor(_chunkOfBehavior.ToArray(), device: device),
                InverseChunkLength = tensor(_chunkLengths.Select(length => 1.0 / length).ToArray(), dtype, device).reshape(chunkCount, 1),
                Behaviors = _config.NumberOfBlocks > 1 ? BehaviorGroups(temporal, device) : null,
                Candidates = CandidateGroups(temporal, device),
            };
        }

        /// <summary>Groups of up to w consecutive behaviors of one request.</summary>
        private QueryGroups BehaviorGroups(RelTemporalFeatures temporal, Device device)
        {
            int window = _config.LocalWindow;
            int size = Math.Min(window, Math.Max(1, _histories.Select(history => history.Length).DefaultIfEmpty().Max()));
            var groups = new GroupsBuilder(this, size, localKeys: size + window - 1);
            for (int request = 0; request < _histories.Count; request++)
            {
                int first = _firstBehavior[request], end = _firstBehavior[request + 1];
                for (int start = first; start < end; start += size)
                {
                    int firstLocal = Math.Max(first, start - window + 1);
                    groups.Begin(request, localKeys: Enumerable.Range(firstLocal, Math.Min(start + size, end) - firstLocal));
                    for (int query = start; query < Math.Min(start + size, end); query++)
                        groups.AddQuery(query, completeChunks: (int)_chunkOfBehavior[query] - _firstChunk[request],
                            seesLocal: key => key <= query && key > query - window);
                }
            }
            return groups.Build(temporal, device);
        }

        /// <summary>
        /// Groups of candidates of one request: all chunks are complete for them, and they see the last w behaviors and themselves.
        /// </summary>
        private QueryGroups CandidateGroups(RelTemporalFeatures temporal, Device device)
        {
            int size = Math.Min(CandidatesPerGroup, _candidateTimes.Max(times => times.Length));
            var groups = new GroupsBuilder(this, size, localKeys: _config.LocalWindow + size);
            int next = _behaviorCount;
            for (int request = 0; request < _candidateTimes.Count; request++)
            {
                int first = _firstBehavior[request], end = _firstBehavior[request + 1];
                int firstLocal = Math.Max(first, end - _config.LocalWindow);
                foreach (int[] group in Enumerable.Range(next, _candidateTimes[request].Length).Chunk(size))
                {
                    groups.Begin(request, localKeys: Enumerable.Range(firstLocal, end - firstLocal).Concat(group));
                    foreach (int candidate in group)
                        groups.AddQuery(candidate, completeChunks: _firstChunk[request + 1] - _firstChunk[request],
                            seesLocal: key => key < _behaviorCount || key == candidate);
                }
                next += _candidateTimes[request].Length;
            }
            return groups.Build(temporal, device);
        }

        /// <summary>Collects groups of queries with the same keys, and pads each to the same number of queries and of keys.</summary>
        private sealed class GroupsBuilder
        {
            private readonly Builder _batch;
            private readonly int _size;
            private readonly int[] _keysOf;
            private readonly List<long>[] _keyIndex = [[], [], []];
            private readonly List<bool>[] _hidden = [[], [], []];
            private readonly List<long> _queryIndex = [];
            private readonly List<long> _outputIndex = [];
            private int _queriesInGroup;

            public GroupsBuilder(Builder batch, int size, int localKeys)
            {
                int mostChunks = 0;
                for (int request = 0; request < batch._histories.Count; request++)
                    mostChunks = Math.Max(mostChunks, batch._firstChunk[request + 1] - batch._firstChunk[request]);
                (_batch, _size) = (batch, size);
                _keysOf = [1 + mostChunks, 1 + mostChunks * batch._config.TransitionBehaviors, localKeys];
            }

            /// <summary>Starts a group: the keys are those of the request's chunks, their last r behaviors, and the given ones.</summary>
            public void Begin(int request, IEnumerable<int> localKeys)
            {
                FillGroup();
                (int first, int end) = (_batch._firstChunk[request], _batch._firstChunk[request + 1]);
                int r = _batch._config.TransitionBehaviors;

                var global = new List<long> { _batch.ZeroToken };
                var transition = new List<long> { _batch.ZeroToken };
                for (int chunk = first; chunk < end; chunk++)
                {
                    global.Add(_batch._tokenCount + chunk);
                    for (int back = r; back >= 1; back--)
                        transition.Add(back <= _batch._chunkLengths[chunk] ? _batch._chunkEnds[chunk] - back : _batch.ZeroToken);
                }
                AddKeys(0, global);
                AddKeys(1, transition);
                AddKeys(Local, localKeys.Select(key => (long)key));
            }

            private void AddKeys(int branch, IEnumerable<long> keys)
            {
                int before = _keyIndex[branch].Count;
                _keyIndex[branch].AddRange(keys);
                int missing = _keysOf[branch] - (_keyIndex[branch].Count - before);
                _keyIndex[branch].AddRange(Enumerable.Repeat((long)_batch.ZeroToken, missing));
            }

            public void AddQuery(int token, int completeChunks, Func<long, bool> seesLocal)
            {
                int r = _batch._config.TransitionBehaviors;
                _outputIndex.Add(_queryIndex.Count);
                _queryIndex.Add(token);
                _queriesInGroup++;

                // Key 0 of the first two branches is the zero token, which everyone sees; a chunk too short for r behaviors has
                // further zero tokens in its place, which nobody sees.
                for (int key = 0; key < _keysOf[0]; key++)
                    _hidden[0].Add(key > completeChunks);
                ReadOnlySpan<long> transition = KeysOfGroup(1);
                for (int key = 0; key < transition.Length; key++)
                    _hidden[1].Add(key > completeChunks * r || (key > 0 && transition[key] == _batch.ZeroToken));
                foreach (long key in KeysOfGroup(Local))
                    _hidden[Local].Add(key == _batch.ZeroToken || !seesLocal(key));
            }

            private ReadOnlySpan<long> KeysOfGroup(int branch)
                => System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_keyIndex[branch])[^_keysOf[branch]..];

            /// <summary>Repeats the last query until the group is full; nothing reads what the repetitions give.</summary>
            private void FillGroup()
            {
                for (; _queriesInGroup % _size != 0; _queriesInGroup++)
                {
                    _queryIndex.Add(_queryIndex[^1]);
                    for (int branch = 0; branch < Branches; branch++)
                        _hidden[branch].AddRange(_hidden[branch][^_keysOf[branch]..]);
                }
            }

            public QueryGroups Build(RelTemporalFeatures temporal, Device device)
            {
                FillGroup();
                long groups = _queryIndex.Count / _size;
                Tensor queryIndex = tensor(_queryIndex.ToArray(), device: device);
                var branches = new BranchLayout[Branches];
                for (int branch = 0; branch < Branches; branch++)
                {
                    long keys = _keysOf[branch];
                    Tensor keyIndex = tensor(_keyIndex[branch].ToArray(), device: device);
                    Tensor hidden = tensor(_hidden[branch].ToArray(), device: device).reshape(groups, 1, _size, keys);
                    branches[branch] = new BranchLayout(keyIndex, hidden, temporal.Of(queryIndex, keyIndex, groups, _size, keys));
                }
                return new QueryGroups(groups, _size, queryIndex, tensor(_outputIndex.ToArray(), device: device), branches);
            }
        }
    }
}
