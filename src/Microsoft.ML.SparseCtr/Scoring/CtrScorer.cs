using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using Microsoft.ML.Data;
using static System.FormattableString;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// Scores the candidates of one user at a time with a trained network, of any trainer of this library, in .NET code alone: no native library is loaded. What it is
/// asked is not a row of a pipeline, but the keys, times and numbers that the pipeline makes of one. Safe for concurrent use; each call computes on the thread that makes it.
/// </summary>
/// <example>
/// <code>
/// CtrScorer scorer = CtrScorer.Load("ctr.zip");
/// var history = new CtrHistory(timestamps, itemKeys);
/// float[] scores = scorer.Score(history, items.Select(item => new CtrCandidate { ItemKeys = [scorer.KeyOf("Item", item)], Timestamp = now }).ToArray());
/// </code>
/// </example>
public sealed class CtrScorer
{
    private readonly ScoringNetwork _network;
    private readonly CtrConfig _config;
    private readonly int _itemColumns;
    private readonly DataViewSchema? _schema;
    private readonly Dictionary<string, Lazy<KeyLookup>> _keys = [];
    private readonly Pool<Inputs> _inputs = new(() => new Inputs());

    private CtrScorer(CtrTransformer transformer, DataViewSchema? schema)
    {
        (_network, _config, _schema) = (transformer.Network, transformer.Config, schema);
        _itemColumns = _config.SequenceFields.Count(field => field.ColumnName is not null);
        HistoryColumnNames = _config.SequenceFields.Select(field => field.HistoryColumnName!).ToArray();
        ItemColumnNames = _config.SequenceFields.Take(_itemColumns).Select(field => field.ColumnName!).ToArray();
        CandidateColumnNames = _config.CandidateFields.Select(field => field.ColumnName!).ToArray();
        UserColumnNames = _config.UserFields.Select(field => field.ColumnName!).ToArray();
        NumericColumnNames = _config.NumericFields.Select(field => field.ColumnName).ToArray();
        foreach (string column in HistoryColumnNames.Concat(ItemColumnNames).Concat(CandidateColumnNames).Concat(UserColumnNames))
            _keys.TryAdd(column, new Lazy<KeyLookup>(() => KeyLookup.Of(_schema, column)));
    }

    /// <summary>Loads a model that <c>mlContext.Model.Save</c> has written.</summary>
    /// <param name="path">The .zip: a pipeline that ends in, or contains, a transformer of this library's trainers.</param>
    /// <exception cref="ArgumentException">The model contains no such transformer.</exception>
    /// <exception cref="FormatException">The file is no such model, or of a newer version.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static CtrScorer Load(string path)
    {
        ITransformer model;
        DataViewSchema schema;
        try
        {
            model = new MLContext().Model.Load(path, out schema);
        }
        // ML.NET puts what a loader throws into exceptions of its own, one for each loader around it.
        catch (Exception problem) when (problem is FormatException or InvalidDataException or InvalidOperationException or TargetInvocationException)
        {
            Exception cause = problem;
            while (cause is not FormatException && cause.InnerException is not null)
                cause = cause.InnerException;
            throw new FormatException($"'{path}' holds no model that can be loaded: {cause.Message}", problem);
        }
        return Of(model, schema);
    }

    /// <summary>Scores with a model in memory, whose weights it shares; that the model is disposed is nothing to it.</summary>
    /// <param name="model">A <see cref="CtrTransformer"/>, or a chain of transformers with one in it, of which it takes the last.</param>
    /// <param name="inputSchema">The schema of the rows that the model transforms: where it is given, <see cref="KeyOf(string, string)"/> knows what keys stand for.</param>
    /// <exception cref="ArgumentException">The model contains no such transformer.</exception>
    public static CtrScorer Of(ITransformer model, DataViewSchema? inputSchema = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        (CtrTransformer transformer, DataViewSchema? schema) = Find(model, inputSchema) ?? throw new ArgumentException(
            $"The model has no {nameof(CtrTransformer)}, which is what a trainer of {typeof(CtrScorer).Namespace} fits; it is a {model.GetType().Name}.", nameof(model));
        return new CtrScorer(transformer, schema);
    }

    /// <summary>The last transformer of ours in a model, and the schema of what it gets: what comes behind it may change the columns.</summary>
    private static (CtrTransformer Transformer, DataViewSchema? Schema)? Find(ITransformer model, DataViewSchema? schema)
    {
        if (model is CtrTransformer transformer)
            return (transformer, schema);
        (CtrTransformer, DataViewSchema?)? last = null;
        foreach (ITransformer part in model as IEnumerable<ITransformer> ?? [])
        {
            last = Find(part, schema) ?? last;
            schema = schema is null ? null : part.GetOutputSchema(schema);
        }
        return last;
    }

    /// <summary>The most events that count of a history (<see cref="CtrTrainerOptions.HistoryLength"/>).</summary>
    public int HistoryLength => _config.Options.HistoryLength;

    /// <summary>
    /// By how many at a time the oldest are left out of one that is longer (<see cref="CtrTrainerOptions.HistoryStride"/>): what counts begins at a multiple of it. So who does
    /// not give all of a user's events gives those from such a multiple on, at least the latest <see cref="HistoryLength"/>.
    /// </summary>
    public int HistoryStride => _config.Options.HistoryStride;

    /// <summary>
    /// The columns of a history, in the order of <see cref="CtrHistory.Keys"/>: those that the candidate shares, its item first, before those that only
    /// behaviors have.
    /// </summary>
    public IReadOnlyList<string> HistoryColumnNames { get; }

    /// <summary>
    /// The candidate's columns that it shares with the history, in the order of <see cref="CtrCandidate.ItemKeys"/> and of the first of
    /// <see cref="HistoryColumnNames"/>.
    /// </summary>
    public IReadOnlyList<string> ItemColumnNames { get; }

    /// <summary>The candidate's other key columns, in the order of <see cref="CtrCandidate.CandidateKeys"/>.</summary>
    public IReadOnlyList<string> CandidateColumnNames { get; }

    /// <summary>The user's key columns, in the order of <see cref="CtrCandidate.UserKeys"/>.</summary>
    public IReadOnlyList<string> UserColumnNames { get; }

    /// <summary>The numeric columns, in the order of <see cref="CtrCandidate.Numbers"/>.</summary>
    public IReadOnlyList<string> NumericColumnNames { get; }

    /// <summary>The probability that a score, a logit, stands for.</summary>
    public static float Probability(float score) => 1 / (1 + MathF.Exp(-score));

    /// <summary>The key that stands for a text in a column; 0, the missing key, where none does.</summary>
    /// <param name="columnName">A key column of the model.</param>
    /// <param name="value">The text.</param>
    /// <exception cref="ArgumentOutOfRangeException">The model reads no such key column.</exception>
    /// <exception cref="InvalidOperationException">
    /// The column's keys are not those of texts: they are of numbers; or come from Hash, or from a model whose schema was not given, and nothing is known of them.
    /// </exception>
    public int KeyOf(string columnName, string value)
    {
        ArgumentNullException.ThrowIfNull(value);
        return KeysOf(columnName).Texts?.GetValueOrDefault(value) ?? throw new InvalidOperationException(
            $"The keys of column '{columnName}' do not stand for texts, as far as the model says.");
    }

    /// <summary>The key that stands for a whole number in a column; 0, the missing key, where none does.</summary>
    /// <inheritdoc cref="KeyOf(string, string)"/>
    public int KeyOf(string columnName, long value)
        => KeysOf(columnName).Numbers?.GetValueOrDefault(value) ?? throw new InvalidOperationException(
            $"The keys of column '{columnName}' do not stand for whole numbers, as far as the model says.");

    /// <summary>The key that stands for a real number (of a Single or Double column, such as a rating) in a column; 0, the missing key, where none does.</summary>
    /// <inheritdoc cref="KeyOf(string, string)"/>
    public int KeyOf(string columnName, double value)
        => KeysOf(columnName) is { Reals: { } reals } keys ? reals.GetValueOrDefault(NumberTypes.ToInt64(keys.AreSingles ? (float)value : value)) : throw new InvalidOperationException(
            $"The keys of column '{columnName}' do not stand for real numbers, as far as the model says.");

    /// <summary>The scores (logits) of candidates for a user, in their order: the greater, the likelier is a click.</summary>
    /// <inheritdoc cref="Score(CtrHistory, ReadOnlySpan{CtrCandidate}, Span{float})"/>
    public float[] Score(CtrHistory history, params ReadOnlySpan<CtrCandidate> candidates)
    {
        var scores = new float[candidates.Length];
        Score(history, candidates, scores);
        return scores;
    }

    /// <summary>Writes the scores (logits) of candidates for a user. The history is encoded once for all of them.</summary>
    /// <param name="history">
    /// What came before. Of more than <see cref="CtrTrainerOptions.HistoryLength"/> behaviors, the first ones are left out as in training, by
    /// <see cref="CtrTrainerOptions.HistoryStride"/>.
    /// </param>
    /// <param name="candidates">The candidates; may be none.</param>
    /// <param name="scores">Receives the scores; as long as <paramref name="candidates"/>.</param>
    /// <exception cref="ArgumentException">An input is not as the model needs it: the message says which, and what was expected.</exception>
    public void Score(CtrHistory history, ReadOnlySpan<CtrCandidate> candidates, Span<float> scores)
    {
        ArgumentNullException.ThrowIfNull(history);
        Check(history, nameof(history));
        Score(history, encoding: null, candidates, scores);
    }

    /// <summary>Encodes a history, for many requests that have it and more to come.</summary>
    /// <param name="history">What came before, as <see cref="Score(CtrHistory, ReadOnlySpan{CtrCandidate}, Span{float})"/> takes it; it is copied.</param>
    /// <exception cref="ArgumentException">The history is not as the model needs it: the message says what was expected.</exception>
    public UserState Encode(CtrHistory history)
    {
        ArgumentNullException.ThrowIfNull(history);
        var state = new UserState(_network, _config);
        Append(state, history);
        return state;
    }

    /// <summary>
    /// Adds events to a user's state: scores are then those of the history that has them, to rounding. With <see cref="ChunkingPolicy.Causal"/> and
    /// <see cref="ChunkingPolicy.EqualCounts"/> an event passes through the network alone; with <see cref="ChunkingPolicy.LargestGaps"/> all events do wherever
    /// boundaries between older ones move. Where there are more than <see cref="CtrTrainerOptions.HistoryLength"/>, the oldest <see cref="CtrTrainerOptions.HistoryStride"/>
    /// are left out, as in training, and the others pass through the network again. No other call may use the state meanwhile.
    /// </summary>
    /// <param name="state">Of this scorer's model.</param>
    /// <param name="events">The events, as <see cref="Encode"/> takes them; none earlier than the latest of the state.</param>
    /// <exception cref="ArgumentException">The events are not as the model needs them, or the state is of another model. The state is as it was.</exception>
    public void Append(UserState state, CtrHistory events)
    {
        Check(state);
        ArgumentNullException.ThrowIfNull(events);
        Check(events, nameof(events));
        if (events.Timestamps.Length > 0 && events.Timestamps[0] < state.LastTimestamp)
            throw Bad(nameof(events), $"begin at {events.Timestamps[0]}; expected Unix seconds not before the state's latest event, {state.LastTimestamp}");
        state.Append(events);
    }

    /// <inheritdoc cref="Score(UserState, ReadOnlySpan{CtrCandidate}, Span{float})"/>
    public float[] Score(UserState state, params ReadOnlySpan<CtrCandidate> candidates)
    {
        var scores = new float[candidates.Length];
        Score(state, candidates, scores);
        return scores;
    }

    /// <summary>Writes the scores (logits) of candidates for a user whose history is encoded: what it costs does not depend on how long the history is.</summary>
    /// <param name="state">Of this scorer's model. Calls that only score may share it.</param>
    /// <param name="candidates">The candidates; may be none.</param>
    /// <param name="scores">Receives the scores; as long as <paramref name="candidates"/>.</param>
    /// <exception cref="ArgumentException">An input is not as the model needs it: the message says which, and what was expected.</exception>
    public void Score(UserState state, ReadOnlySpan<CtrCandidate> candidates, Span<float> scores)
    {
        CheckScorable(state);
        Score(state.Events, state.Encoding, candidates, scores);
    }

    /// <summary>What a candidate attends to in a user's history, in the last block: for those who look into a model.</summary>
    /// <param name="state">Of this scorer's model.</param>
    /// <param name="candidate">The candidate.</param>
    /// <returns>Null for a network that has no blocks of self-attention.</returns>
    /// <exception cref="ArgumentException">An input is not as the model needs it: the message says which, and what was expected.</exception>
    public AttentionMap? Explain(UserState state, CtrCandidate candidate)
    {
        CheckScorable(state);
        Check(candidate, state.Events, nameof(candidate));
        return state.Encoding is null ? null : _network.Explain(state.Encoding, new Inputs().Fill(_config, state.Events, state.Encoding, [candidate]));
    }

    /// <summary>Reads a state that <see cref="UserState.Save"/> has written.</summary>
    /// <param name="stream">Where it is.</param>
    /// <exception cref="FormatException">There is no such state, or one of a newer version, or of another model.</exception>
    public UserState ReadState(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        UserState state = UserState.Read(stream, _network, _config);
        try
        {
            Check(state.Events, "events");
        }
        catch (ArgumentException problem)
        {
            throw new FormatException($"The user state cannot be read: {problem.Message}", problem);
        }
        return state;
    }

    private void Score(CtrHistory history, HistoryEncoding? encoding, ReadOnlySpan<CtrCandidate> candidates, Span<float> scores)
    {
        if (scores.Length != candidates.Length)
            throw new ArgumentException($"Expected room for {candidates.Length} scores, got {scores.Length}.", nameof(scores));
        foreach (CtrCandidate candidate in candidates)
            Check(candidate, history, nameof(candidates));
        if (candidates.IsEmpty)
            return;

        Inputs inputs = _inputs.Rent();
        try
        {
            _network.Score(inputs.Fill(_config, history, encoding, candidates), scores);
        }
        finally
        {
            inputs.Forget();
            _inputs.Return(inputs);
        }
    }

    private void Check(UserState state)
    {
        ArgumentNullException.ThrowIfNull(state);
        if (state.Network != _network)
            throw Bad(nameof(state), "is of another model");
    }

    private void CheckScorable(UserState state)
    {
        Check(state);
        if (!state.IsWhole)
            throw new InvalidOperationException("The state's last Append failed in its midst: append again, if only no events, or encode the history anew.");
    }

    private void Check(CtrHistory history, string name)
    {
        KeyField[] fields = _config.SequenceFields;
        long[] times = history.Timestamps;
        if (history.Keys.Length != fields.Length)
            throw Bad(name, $"has keys of {history.Keys.Length} columns; expected those of {string.Join(", ", HistoryColumnNames)}");
        for (int field = 0; field < fields.Length; field++)
        {
            int[] keys = history.Keys[field];
            if (keys?.Length != times.Length)
                throw Bad(name, $"has {keys?.Length ?? 0} keys of '{HistoryColumnNames[field]}', but {times.Length} timestamps");
            CheckKeys(keys, HistoryColumnNames[field], fields[field], name);
        }
        for (int i = 0; i < times.Length; i++)
        {
            if (times[i] < (i == 0 ? 0 : times[i - 1]))
                throw Bad(name, $"has the time {times[i]} at position {i}; expected Unix seconds in ascending order");
        }
    }

    private void Check(CtrCandidate candidate, CtrHistory history, string name)
    {
        if (candidate is null)
            throw Bad(name, "has one that is null");
        if (candidate.ItemKeys?.Length != _itemColumns)
            throw Bad(name, $"has one with {candidate.ItemKeys?.Length ?? 0} {nameof(candidate.ItemKeys)}; expected one of each of {string.Join(", ", ItemColumnNames)}");
        for (int field = 0; field < _itemColumns; field++)
            CheckKeys(candidate.ItemKeys.AsSpan(field, 1), ItemColumnNames[field], _config.SequenceFields[field], name);
        CheckBags(candidate.CandidateKeys, nameof(candidate.CandidateKeys), CandidateColumnNames, _config.CandidateFields, name);
        CheckBags(candidate.UserKeys, nameof(candidate.UserKeys), UserColumnNames, _config.UserFields, name);
        if (candidate.Numbers?.Length != _network.NumberCount)
        {
            throw Bad(name, $"has one with {candidate.Numbers?.Length ?? 0} {nameof(candidate.Numbers)}; expected the {_network.NumberCount} of "
                + $"{(_network.NumberCount == 0 ? "no column" : string.Join(", ", NumericColumnNames))}");
        }
        if (candidate.Timestamp < (history.Timestamps.Length == 0 ? 0 : history.Timestamps[^1]))
            throw Bad(name, $"has one of the time {candidate.Timestamp}; expected Unix seconds not before the history's last event: a history must not see the future");

        static void CheckBags(int[][]? keys, string what, IReadOnlyList<string> columns, KeyField[] fields, string name)
        {
            if (keys?.Length != fields.Length)
                throw Bad(name, $"has one with {what} of {keys?.Length ?? 0} columns; expected those of {(fields.Length == 0 ? "none" : string.Join(", ", columns))}");
            for (int field = 0; field < fields.Length; field++)
                CheckKeys(keys[field], columns[field], fields[field], name);
        }
    }

    private static void CheckKeys(ReadOnlySpan<int> keys, string column, KeyField field, string name)
    {
        foreach (int key in keys)
        {
            if ((uint)key > (uint)field.KeyCount)
                throw Bad(name, Invariant($"has the key {key} in '{column}'; expected 0 to {field.KeyCount:N0}"));
        }
    }

    private static ArgumentException Bad(string name, string what) => new($"{name} {what}.", name);

    private KeyLookup KeysOf(string columnName) => _keys.TryGetValue(columnName, out Lazy<KeyLookup>? keys)
        ? keys.Value
        : throw new ArgumentOutOfRangeException(
            nameof(columnName), columnName, $"The model reads no key column of that name; expected one of {string.Join(", ", _keys.Keys)}.");

    /// <summary>The keys of a column by what they stand for; null where they do not stand for such values.</summary>
    private sealed record KeyLookup(Dictionary<string, int>? Texts, Dictionary<long, int>? Numbers, Dictionary<long, int>? Reals, bool AreSingles)
    {
        public static KeyLookup Of(DataViewSchema? schema, string column)
        {
            KeyValues? values = schema?.GetColumnOrNull(column) is { } found ? KeyValues.Of(found) : null;
            Dictionary<long, int>? numbers = First(values?.Numbers);
            bool areWhole = values is not null && NumberTypes.IsWhole(values.Type);
            return new(First(values?.Texts?.Select(text => text.ToString())), areWhole ? numbers : null, areWhole ? null : numbers, values?.Type == NumberDataViewType.Single);
        }

        /// <summary>Of several keys for one value, the first.</summary>
        private static Dictionary<T, int>? First<T>(IEnumerable<T>? values) where T : notnull
        {
            if (values is null)
                return null;
            var keys = new Dictionary<T, int>();
            foreach ((int index, T value) in values.Index())
                keys.TryAdd(value, index + 1);
            return keys;
        }
    }

    /// <summary>A request that is filled again and again.</summary>
    private sealed class Inputs
    {
        private readonly Request _request = new() { HistoryKeys = [], HistoryTimestamps = [], Impressions = [] };
        private readonly List<Impression> _impressions = [];

        /// <summary>What is left of a history that is too long.</summary>
        private long[] _latestTimestamps = [];
        private int[][] _latestKeys = [];

        public Request Fill(CtrConfig config, CtrHistory history, HistoryEncoding? encoding, ReadOnlySpan<CtrCandidate> candidates)
        {
            _request.Encoding = encoding;
            int skipped = (int)History.Skipped(history.Timestamps.Length, config.Options.HistoryLength, config.Options.HistoryStride);
            (_request.HistoryTimestamps, _request.HistoryKeys) = (history.Timestamps, history.Keys);
            if (skipped > 0)
                KeepFrom(skipped);
            _request.Impressions.Clear();
            for (int i = 0; i < candidates.Length; i++)
            {
                if (i == _impressions.Count)
                    _impressions.Add(NewImpression(config));
                Impression impression = _impressions[i];
                candidates[i].ItemKeys.CopyTo(impression.SequenceKeys, 0);
                impression.CandidateKeys = candidates[i].CandidateKeys;
                impression.UserKeys = candidates[i].UserKeys;
                impression.Numbers = candidates[i].Numbers;
                impression.Timestamp = candidates[i].Timestamp;
                impression.PastLength = _request.HistoryTimestamps.Length;
                _request.Impressions.Add(impression);
            }
            return _request;
        }

        /// <summary>Lets go of what was the caller's.</summary>
        public void Forget()
        {
            (_request.HistoryTimestamps, _request.HistoryKeys, _request.Encoding) = ([], [], null);
            foreach (Impression impression in _request.Impressions)
                (impression.CandidateKeys, impression.UserKeys, impression.Numbers) = ([], [], []);
        }

        private void KeepFrom(int first)
        {
            Array.Resize(ref _latestKeys, _request.HistoryKeys.Length);
            for (int field = 0; field < _latestKeys.Length; field++)
                Copy(_request.HistoryKeys[field], first, ref _latestKeys[field]);
            Copy(_request.HistoryTimestamps, first, ref _latestTimestamps);
            (_request.HistoryTimestamps, _request.HistoryKeys) = (_latestTimestamps, _latestKeys);
        }

        private static void Copy<T>(T[] from, int first, [NotNull] ref T[]? to)
        {
            // With a stride of 1, what is left has always the same length.
            if (to is null || to.Length != from.Length - first)
                to = new T[from.Length - first];
            from.AsSpan(first).CopyTo(to);
        }

        /// <summary>With the keys that every candidate has in the fields that only behaviors have.</summary>
        private static Impression NewImpression(CtrConfig config) => new()
        {
            SequenceKeys = config.SequenceFields.Select(field => field.ColumnName is null ? field.CandidateKey : 0).ToArray(),
            CandidateKeys = [],
            UserKeys = [],
            Numbers = [],
            Timestamp = 0,
            PastLength = 0,
        };
    }
}
