using System.Globalization;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Data;

/// <summary>Sums up what the metrics of ranking are made of, group by group.</summary>
internal sealed class RankingEvaluator
{
    private const int MaxTruncationLevel = 10;

    private readonly IHost _host;
    private readonly double[] _labelGains;
    private readonly double[] _dcgSums;
    private readonly double[] _ndcgSums;
    private readonly List<(float Score, int Label)> _group = [];
    private int _groupCount;

    private RankingEvaluator(IHost host, RankingEvaluatorOptions options)
    {
        host.CheckValue(options, nameof(options));
        host.CheckUserArg(options.DcgTruncationLevel is > 0 and <= MaxTruncationLevel, nameof(options.DcgTruncationLevel),
            $"Must be positive, and no more than {MaxTruncationLevel}");
        host.CheckNonEmpty(options.LabelGains, nameof(options.LabelGains));
        _host = host;
        _labelGains = Array.ConvertAll(options.LabelGains.Split(','), gain => double.Parse(gain, CultureInfo.InvariantCulture));
        _dcgSums = new double[options.DcgTruncationLevel];
        _ndcgSums = new double[options.DcgTruncationLevel];
    }

    public static RankingMetrics Evaluate(IHost host, IDataView data, RankingEvaluatorOptions options, string labelName, string groupName,
        string scoreName)
    {
        host.CheckValue(data, nameof(data));
        var label = data.Schema.GetColumn(host, "label", labelName, "labelColumnName");
        if (label.Type != NumberDataViewType.Single && label.Type is not KeyDataViewType)
            throw host.ExceptSchemaMismatch("labelColumnName", "label", labelName, "Single or Key", label.Type.ToString());
        var group = data.Schema.GetColumn(host, "group", groupName, "rowGroupColumnName");
        if (group.Type is not KeyDataViewType)
            throw host.ExceptSchemaMismatch("rowGroupColumnName", "group", groupName, "Key", group.Type.ToString());
        var score = data.Schema.GetColumn(host, "score", scoreName, "scoreColumnName");
        if (score.Type != NumberDataViewType.Single)
            throw host.ExceptSchemaMismatch("scoreColumnName", "score", scoreName, "Single", score.Type.ToString());

        var evaluator = new RankingEvaluator(host, options);
        using var cursor = data.GetRowCursor([label, group, score]);
        var getLabel = NumberGetters.AsLabel(cursor, label);
        var getGroup = NumberGetters.AsKey(cursor, group);
        var getScore = cursor.GetGetter<float>(score);
        float labelValue = 0, scoreValue = 0;
        ulong groupValue = 0, previousGroup = 0;
        while (cursor.MoveNext())
        {
            getGroup(ref groupValue);
            if (groupValue != previousGroup)
                evaluator.FinishGroup();
            previousGroup = groupValue;
            getLabel(ref labelValue);
            getScore(ref scoreValue);
            if (!float.IsNaN(scoreValue))
                evaluator.Add(labelValue, scoreValue);
        }
        evaluator.FinishGroup();
        return new RankingMetrics(Array.ConvertAll(evaluator._dcgSums, sum => sum / evaluator._groupCount),
            Array.ConvertAll(evaluator._ndcgSums, sum => sum / evaluator._groupCount));
    }

    private void Add(float label, float score)
    {
        if (!(label >= 0 && label < _labelGains.Length))
            throw _host.Except($"Label {label} has no gain: there are gains for the labels 0 to {_labelGains.Length - 1}.");
        _group.Add((score, (int)label));
    }

    private void FinishGroup()
    {
        if (_group.Count == 0)
            return;
        // Among equal scores the worst order counts: an order that scores do not give is not theirs.
        var actual = GetDcg(_group.OrderByDescending(row => row.Score).ThenBy(row => row.Label));
        var best = GetDcg(_group.OrderByDescending(row => row.Label));
        for (int i = 0; i < _dcgSums.Length; i++)
        {
            _dcgSums[i] += actual[i];
            _ndcgSums[i] += best[i] > 0 ? actual[i] / best[i] : 0;
        }
        _groupCount++;
        _group.Clear();
    }

    private double[] GetDcg(IEnumerable<(float Score, int Label)> order)
    {
        var result = new double[_dcgSums.Length];
        double dcg = 0;
        int[] labels = [.. order.Take(result.Length).Select(row => row.Label)];
        for (int i = 0; i < result.Length; i++)
        {
            if (i < labels.Length)
                dcg += _labelGains[labels[i]] / Math.Log(2 + i);
            result[i] = dcg;
        }
        return result;
    }
}
