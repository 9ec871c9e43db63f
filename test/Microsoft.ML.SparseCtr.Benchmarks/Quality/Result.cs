using System.Text.Json.Nodes;

namespace Microsoft.ML.SparseCtr.Benchmarks;

/// <summary>What an experiment gave: a line of docs/results/quality.jsonl.</summary>
internal sealed record Result
{
    /// <summary><see cref="Experiment.Id"/>.</summary>
    public required string Id { get; init; }

    public required string Dataset { get; init; }

    public required string Model { get; init; }

    public required int Seed { get; init; }

    /// <summary>Null for a baseline, as all that follows from a network is null or 0.</summary>
    public JsonObject? Options { get; init; }

    /// <summary>Of the test rows, as are the metrics below.</summary>
    public double Auc { get; init; }

    public double Gauc { get; init; }

    public double LogLoss { get; init; }

    /// <summary>That of the best epoch.</summary>
    public double? ValidationAuc { get; init; }

    public double FitSeconds { get; init; }

    /// <summary>Of one test row, histories and rates included.</summary>
    public double? ScoringMicroseconds { get; init; }

    public long Parameters { get; init; }

    /// <summary><see cref="Benchmarks.Flops.PerCandidate"/>.</summary>
    public double Flops { get; init; }

    /// <summary><see cref="Benchmarks.Flops.ComparisonsPerCandidate"/>.</summary>
    public long Comparisons { get; init; }

    /// <summary>UTC, when it ended.</summary>
    public DateTime Date { get; init; }

    public string Machine { get; init; } = "";

    /// <summary>With "+" where files differed from it.</summary>
    public string Commit { get; init; } = "";
}
