using System.Collections.Concurrent;
using Microsoft.ML.Data;

namespace Microsoft.ML.SparseCtr;

/// <summary>Adds the score columns to rows.</summary>
internal sealed class ScoringMapper : ColumnAddingMapper
{
    private readonly CtrTransformer _transformer;

    public ScoringMapper(CtrTransformer transformer, DataViewSchema inputSchema) : base(inputSchema, ScoreColumns.For(inputSchema))
    {
        transformer.CheckColumns(inputSchema);
        _transformer = transformer;
    }

    protected override IEnumerable<string> ReadColumnNames => InputColumn.Of(_transformer.Config).Select(column => column.Name);

    /// <summary>Scores a row alone, once however often it is asked for.</summary>
    protected override Delegate[] MakeGetters(DataViewRow input)
    {
        var reader = new RowReader(input, _transformer.Config, labelColumnName: null);
        return Getters(OncePerRow(input, () => _transformer.Network.Score(reader.Read())[0]));
    }

    protected override bool ReadsAhead => true;

    /// <summary>Scores many rows at once by a second cursor, which runs ahead of the first.</summary>
    protected override (Delegate[] Getters, IDisposable Resource) MakeGettersAhead(DataViewRowCursor cursor, IDataView input)
    {
        var ahead = new ScoresAhead(_transformer, input);
        Func<long> time = ColumnReader.Timestamp(cursor, InputSchema[_transformer.Config.Options.TimestampColumnName]);
        return (Getters(() => ahead.At(cursor.Position, time())), ahead);
    }

    private static Delegate[] Getters(Func<float> score) =>
    [
        (ValueGetter<float>)((ref float value) => value = score()),
        (ValueGetter<float>)((ref float value) => value = CtrScorer.Probability(score())),
        (ValueGetter<bool>)((ref bool value) => value = score() > 0),
    ];

    /// <summary>
    /// The scores of a view's rows in their order. Of so many rows as are read ahead, those with the same history, such as those of one request,
    /// are one request to the network, which encodes their history once; where the network can share histories, so are those of one user.
    /// </summary>
    private sealed class ScoresAhead(CtrTransformer transformer, IDataView input) : IDisposable
    {
        private const int RowsAhead = 1_024;

        private readonly IEnumerator<(float Score, long Timestamp)> _scores = Scores(transformer, input).GetEnumerator();
        private long _position = -1;

        /// <param name="position">The row.</param>
        /// <param name="timestamp">Its time, by which a view shows itself that is not the same for two cursors.</param>
        public float At(long position, long timestamp)
        {
            bool isThere = true;
            for (; _position < position && isThere; _position++)
                isThere = _scores.MoveNext();
            return isThere && _scores.Current.Timestamp == timestamp ? _scores.Current.Score : throw new InvalidOperationException(
                $"Row {position} was not the same for two cursors over the view, which scoring reads in parallel: cache a view that changes.");
        }

        public void Dispose() => _scores.Dispose();

        private static IEnumerable<(float Score, long Timestamp)> Scores(CtrTransformer transformer, IDataView input)
        {
            var reader = new RequestReader(transformer.Config, labelColumnName: null, groupColumnName: null);
            ScoringNetwork network = transformer.Network;
            foreach (Request[] rows in reader.Read(input).Chunk(RowsAhead))
            {
                var scores = new ConcurrentDictionary<Impression, float>(ReferenceEqualityComparer.Instance);
                IEnumerable<Request> requests = rows.JoinByHistory(RowsAhead, transformer.Config.Options.CanShareHistories);
                Parallel.ForEach(LargestFirst(requests), new ParallelOptions { MaxDegreeOfParallelism = ThreadCount.OfKernels }, request =>
                {
                    foreach ((float score, Impression impression) in network.Score(request).Zip(request.Impressions))
                        scores[impression] = score;
                });
                foreach (Impression impression in rows.Select(row => row.Impressions[0]))
                    yield return (scores[impression], impression.Timestamp);
            }
        }

        /// <summary>One at a time to who is free: with ranges of them, threads would wait for the one that has the longest histories.</summary>
        private static OrderablePartitioner<Request> LargestFirst(IEnumerable<Request> requests) => Partitioner.Create(
            requests.OrderByDescending(request => request.HistoryTimestamps.Length + request.Impressions.Count), EnumerablePartitionerOptions.NoBuffering);
    }
}
