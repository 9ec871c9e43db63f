using Microsoft.ML.Runtime;

namespace Microsoft.ML.AutoML;

/// <summary>Reports to the context's log.</summary>
internal sealed class MLContextMonitor(IChannel channel, SweepablePipeline pipeline) : IMonitor
{
    // What completed stays reachable, models and all, as it does in ML.NET.
    private readonly List<TrialResult> _completed = [];

    public void ReportCompletedTrial(TrialResult result)
    {
        Info("Completed", result.TrialSettings, $" - Metric: {result.Metric} - Duration: {result.DurationInMilliseconds}");
        _completed.Add(result);
    }

    public void ReportBestTrial(TrialResult result) => Info("Best", result.TrialSettings, $" - Metric: {result.Metric}");

    public void ReportFailTrial(TrialSettings settings, Exception exception = null) => Info("Failed", settings, $" - {exception}");

    public void ReportRunningTrial(TrialSettings settings) => Info("Running", settings, "");

    private void Info(string what, TrialSettings settings, string rest) => channel.Info(MessageSensitivity.Unknown,
        $"Update {what} Trial - Id: {settings.TrialId}{rest} - Pipeline: {pipeline.ToString(settings.Parameter)}");
}
