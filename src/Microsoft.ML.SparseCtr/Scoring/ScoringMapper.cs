using Microsoft.ML.Data;

namespace Microsoft.ML.SparseCtr;

/// <summary>Adds the score columns to rows.</summary>
internal sealed class ScoringMapper : ColumnAddingMapper
{
    private readonly SparseCtrTransformer _transformer;

    public ScoringMapper(SparseCtrTransformer transformer, DataViewSchema inputSchema) : base(inputSchema, ScoreColumns.For(inputSchema))
    {
        transformer.CheckColumns(inputSchema);
        _transformer = transformer;
    }

    protected override IEnumerable<string> ReadColumnNames => InputColumn.Of(_transformer.Config).Select(column => column.Name);

    /// <summary>Scores a row alone, once however often it is asked for.</summary>
    protected override Delegate[] MakeGetters(DataViewRow input)
    {
        var reader = new RowReader(input, _transformer.Config, labelColumnName: null);
        long? scoredPosition = null;
        float score = 0;
        return Getters(() =>
        {
            if (scoredPosition != input.Position)
            {
                score = _transformer.Score([reader.Read()])[0];
                scoredPosition = input.Position;
            }
            return score;
        });
    }

    /// <summary>Scores many rows at once by a second cursor, which runs ahead of the first.</summary>
    protected override (Delegate[] Getters, IDisposable Resource)? MakeGettersAhead(DataViewRowCursor cursor, IDataView input)
    {
        var ahead = new ScoresAhead(_transformer, input);
        return (Getters(() => ahead.At(cursor.Position)), ahead);
    }

    private static Delegate[] Getters(Func<float> score) =>
    [
        (ValueGetter<float>)((ref float value) => value = score()),
        (ValueGetter<float>)((ref float value) => value = 1 / (1 + MathF.Exp(-score()))),
        (ValueGetter<bool>)((ref bool value) => value = score() > 0),
    ];

    /// <summary>
    /// The scores of a view's rows in their order. Consecutive rows with the same history, such as those of one request, are one request to
    /// the network, which encodes their history once.
    /// </summary>
    private sealed class ScoresAhead(SparseCtrTransformer transformer, IDataView input) : IDisposable
    {
        private readonly IEnumerator<float> _scores = Scores(transformer, input).GetEnumerator();
        private long _position = -1;

        public float At(long position)
        {
            for (; _position < position; _position++)
            {
                if (!_scores.MoveNext())
                    throw new InvalidOperationException($"The view had a row {position} for one cursor and not for another: views must not change.");
            }
            return _scores.Current;
        }

        public void Dispose() => _scores.Dispose();

        private static IEnumerable<float> Scores(SparseCtrTransformer transformer, IDataView input)
        {
            var reader = new RequestReader(transformer.Config, labelColumnName: null, groupColumnName: null);
            foreach (List<Request> part in reader.Read(input).JoinSameHistories().InPasses())
            {
                foreach (float score in transformer.Score(part))
                    yield return score;
            }
        }
    }
}
