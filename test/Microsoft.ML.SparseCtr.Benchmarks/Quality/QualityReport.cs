using System.Globalization;
using System.Text;
using static System.FormattableString;

namespace Microsoft.ML.SparseCtr.Benchmarks;

/// <summary>Writes quality.md and its plots of the results that there are.</summary>
internal sealed class QualityReport(ResultLog results, string folder)
{
    private const string None = "–";
    private const string HistoryPlot = "auc-by-history-length.svg", FlopsPlot = "auc-by-flops.svg";

    /// <summary>The AUCs of a result in the bootstrap's draws: one report after the other needs them.</summary>
    private readonly Dictionary<(string Id, DateTime Date), double[]> _areas = [];

    private readonly StringBuilder _page = new();

    public void Write(Plan plan)
    {
        _page.Clear();
        Introduction(plan);
        foreach (Variant[] table in plan.Main)
            MainTable(table);
        Tuning(plan);
        Ablations(plan);
        HistoryLengths(plan);
        Ladder(plan);
        File.WriteAllText(Path.Combine(folder, "quality.md"), _page.ToString().TrimEnd() + "\n");
    }

    private void Introduction(Plan plan)
    {
        Experiment[] experiments = plan.Experiments.ToArray();
        Result[] done = experiments.Select(results.Of).OfType<Result>().OrderBy(result => result.Date).ToArray();
        Add("# Quality");
        Add();
        Add("How well the models predict clicks, and what they cost. Written by `./build.sh bench --quality --data FOLDER`; a run goes on where the last");
        Add("one ended, as long as `docs/results/quality.jsonl`, a line per experiment, and the scores under `artifacts/quality/` are there.");
        Add();
        Add(Invariant($"* **{done.Length:N0} of {experiments.Length:N0} experiments** are shown; what was not run yet is a dash."));
        if (plan.Tuning.Any(variant => plan.ValidationAucOf(variant) is null))
            Add("* **Not all learning rates are tuned yet**: until then, the best so far are taken.");
        if (done.Length > 0)
        {
            string first = Invariant($"{done[0].Date:yyyy-MM-dd}"), last = Invariant($"{done[^1].Date:yyyy-MM-dd}");
            Add($"* Measured {(first == last ? first : $"from {first} to {last}")} (UTC) on {Distinct(result => result.Machine)}, at commit {Distinct(result => result.Commit)}.");
        }
        Add("* The latest 10% of the rows are the test; of the others, the latest ninth chooses the epoch, and the learning rate.");
        Add("* ± is the standard deviation over the seeds 1, 2 and 3; where there are fewer, it says so.");
        Add("* Differences are of the means over the seeds; their 95% intervals are from a bootstrap over the users of the test rows, the same for both, and over the seeds of each (1,000 draws).");
        Add("* SparseCtr and DenseAttention have one block, in which candidates alone attend, but on the longer generated logs two, in which behaviors attend to each other.");
        Add("* Fit times and scoring times include histories and rates. They come from a machine whose speed fluctuates: compare them roughly.");
        Add("* FLOPs are two per multiply-add of scoring one candidate from scratch with a full history (`Quality/Flops.cs`); ETA also compares");
        Add("  64-bit words. Histories that are cut hold between half of `HistoryLength` and all of it (`HistoryStride`).");
        Add();

        string Distinct(Func<Result, string> of) => string.Join("; ", done.Select(of).Distinct());
    }

    private void MainTable(Variant[] table)
    {
        Dataset data = table[0].Data;
        Add($"## All models, {data.Name}");
        Add();
        Add(Invariant($"{data.Clicks.Rows.Length:N0} rows, {data.TestLabels.Length:N0} of them tested on.")
            + (double.IsNaN(data.BestReachable) ? "" : Invariant($" The best reachable AUC, of who knows how the clicks were made, is {data.BestReachable:F4}.")));
        Add();
        Header("model", "AUC", "GAUC", "log loss", "AUC − SparseCtr's (95%)", "fit s", "scoring µs per row", "parameters", "FLOPs per candidate");
        foreach (Variant variant in table)
        {
            Row(variant.Name, Auc(variant), Mean(variant, result => result.Gauc, "F4"), Mean(variant, result => result.LogLoss, "F4"),
                Difference(variant, table[^1]), Mean(variant, result => result.FitSeconds, "F1"),
                Mean(variant, result => result.ScoringMicroseconds, "F0"), Parameters(variant), FlopsOf(variant));
        }
        Add();
    }

    private void Tuning(Plan plan)
    {
        Add("## Learning rates");
        Add();
        Add("Equal effort for all models: three rates, seed 1; the one with the best validation AUC, in bold, is the model's in all other tables. The");
        Add("ablations, which have one block, take those of the short log. On the log of 2,400 events, histories of 200 are tuned on. Epochs, dropouts and batches are the same for all: those that had been chosen for SparseCtr's demo, and for the longer logs batches of 64 requests.");
        Add("Validation AUC:");
        Add();
        Variant[][] rows = [.. plan.Tuning.GroupBy(variant => (variant.Data.Name, variant.Name)).Select(rates => rates.ToArray())];
        Header(["data", "model", .. rows[0].Select(variant => Invariant($"{variant.Options!.LearningRate}"))]);
        foreach (Variant[] rates in rows)
        {
            Variant? best = plan.Tuned(rates[0].Data, rates[0].Name);
            Row([rates[0].Data.Name, rates[0].Name, .. rates.Select(Cell)]);

            string Cell(Variant variant) => plan.ValidationAucOf(variant) is not { } auc ? None : variant == best ? Invariant($"**{auc:F4}**") : Invariant($"{auc:F4}");
        }
        Add();
    }

    private void Ablations(Plan plan)
    {
        Add("## What SparseCtr's parts are worth");
        Add();
        foreach (Variant[] table in plan.Ablations)
        {
            Variant all = table[0];
            Header($"{all.Data.Name}", "AUC", "GAUC", "difference of AUC (95%)", "fit s", "FLOPs per candidate");
            foreach (Variant variant in table)
            {
                Row(variant.Name, Auc(variant), Mean(variant, result => result.Gauc, "F4"), Difference(variant, all),
                    Mean(variant, result => result.FitSeconds, "F1"), FlopsOf(variant));
            }
            Add();
        }
        Add("One block. What a branch that is left out would give is computed and shut out, so that its fit time is not what the model would take. Chunks between the largest gaps share histories in training as the others do, which is approximate for them ([model.md](../model.md#shared-histories)).");
        Add();
    }

    private void HistoryLengths(Plan plan)
    {
        IGrouping<string, Variant>[] models = [.. plan.HistoryLengths.GroupBy(variant => variant.Name)];
        IGrouping<int, Variant>[] lengths = [.. plan.HistoryLengths.GroupBy(variant => variant.Options!.HistoryLength)];
        Add("## AUC by history length");
        Add();
        Add($"On {plan.HistoryLengths[0].Data.Name}; trained on the latest quarter of the rows before the test, whose histories reach back over all.");
        Add("TargetAttention's window is the history.");
        Add();
        Plot(HistoryPlot, "AUC by history length", "events of the history, at most", models.Select(model =>
            new ChartSeries(model.Key, Points(model, variant => variant.Options!.HistoryLength))));
        Header(["`HistoryLength`", .. models.Select(model => model.Key)]);
        foreach (IGrouping<int, Variant> length in lengths)
            Row([Invariant($"{length.Key:N0}"), .. length.Select(Auc)]);
        Add();
        Header(["FLOPs per candidate", .. models.Select(model => model.Key)]);
        foreach (IGrouping<int, Variant> length in lengths)
            Row([Invariant($"{length.Key:N0}"), .. length.Select(FlopsOf)]);
        Add();
    }

    private void Ladder(Plan plan)
    {
        Add("## AUC by FLOPs");
        Add();
        Add($"SparseCtr in growing sizes, on {plan.Ladder[0].Data.Name}, all with the learning rate of the default size.");
        Add();
        Plot(FlopsPlot, "AUC by FLOPs", "FLOPs per candidate", [new ChartSeries("SparseCtr", Points(plan.Ladder, variant => results.Of(variant)[0].Flops))]);
        Header("size", "FLOPs per candidate", "parameters", "AUC", "GAUC", "fit s", "scoring µs per row");
        foreach (Variant variant in plan.Ladder)
        {
            Row(variant.Name, FlopsOf(variant), Parameters(variant), Auc(variant), Mean(variant, result => result.Gauc, "F4"),
                Mean(variant, result => result.FitSeconds, "F1"), Mean(variant, result => result.ScoringMicroseconds, "F0"));
        }
        Add();
    }

    /// <summary>Nothing, where there are no points yet.</summary>
    private void Plot(string file, string title, string xLabel, IEnumerable<ChartSeries> series)
    {
        ChartSeries[] drawn = series.Where(one => one.Points.Length > 0).ToArray();
        if (drawn.Length == 0)
            return;
        File.WriteAllText(Path.Combine(folder, file), new LineChart(title, xLabel, "test AUC", drawn).ToSvg());
        Add($"![{title}]({file})");
        Add();
    }

    private ChartPoint[] Points(IEnumerable<Variant> variants, Func<Variant, double> x) => variants.Where(variant => results.Of(variant).Length > 0).Select(variant =>
    {
        double[] aucs = results.Of(variant).Select(result => result.Auc).ToArray();
        return new ChartPoint(x(variant), aucs.Average(), StandardDeviation(aucs));
    }).OrderBy(point => point.X).ToArray();

    private string Auc(Variant variant)
    {
        double[] aucs = results.Of(variant).Select(result => result.Auc).ToArray();
        int missing = variant.Experiments.Count() - aucs.Length;
        return aucs.Length == 0 ? None
            : Invariant($"{aucs.Average():F4}") + (aucs.Length > 1 ? Invariant($" ± {StandardDeviation(aucs):F4}") : "")
            + (missing > 0 ? $" ({aucs.Length} of {aucs.Length + missing} seeds)" : "");
    }

    private string Mean(Variant variant, Func<Result, double?> of, string format)
        => results.Of(variant).Average(of)?.ToString(format, CultureInfo.InvariantCulture) ?? None;

    private string Difference(Variant variant, Variant other)
    {
        (Result[] these, Result[] others) = (results.Of(variant), results.Of(other));
        // Of what both have to draw seeds for, the same ones.
        if (variant.Options is not null)
            (these, others) = ([.. these.IntersectBy(others.Select(Seed), Seed)], [.. others.IntersectBy(these.Select(Seed), Seed)]);
        if (variant == other || these.Length == 0 || others.Length == 0)
            return None;
        (double low, double high) = UserBootstrap.Interval(these.Select(Areas).ToArray(), others.Select(Areas).ToArray());
        double difference = these.Average(result => result.Auc) - others.Average(result => result.Auc);
        return Invariant($"{difference:+0.0000;-0.0000;0.0000} ({low:+0.0000;-0.0000;0.0000} to {high:+0.0000;-0.0000;0.0000})");

        static int Seed(Result result) => result.Seed;

        double[] Areas(Result result)
        {
            if (!_areas.TryGetValue((result.Id, result.Date), out double[]? areas))
                _areas[(result.Id, result.Date)] = areas = variant.Data.Bootstrap.Areas(results.ScoresOf(result));
            return areas;
        }
    }

    private string Parameters(Variant variant) => results.Of(variant).FirstOrDefault() is { Parameters: > 0 } result ? Invariant($"{result.Parameters:N0}") : None;

    private string FlopsOf(Variant variant) => results.Of(variant).FirstOrDefault() is not { Flops: > 0 } result ? None
        : Invariant($"{result.Flops:N0}") + (result.Comparisons > 0 ? Invariant($" + {result.Comparisons:N0} words") : "");

    private static double StandardDeviation(double[] values)
        => values.Length < 2 ? 0 : Math.Sqrt(values.Sum(value => Math.Pow(value - values.Average(), 2)) / (values.Length - 1));

    private void Header(params string[] cells)
    {
        Row(cells);
        Row(cells.Select(_ => "---").ToArray());
    }

    private void Row(params string[] cells) => Add($"| {string.Join(" | ", cells)} |");

    private void Add(string line = "") => _page.Append(line).Append('\n');
}
