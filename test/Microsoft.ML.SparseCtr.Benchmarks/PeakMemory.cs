namespace Microsoft.ML.SparseCtr.Benchmarks;

/// <summary>
/// Watches the managed heap every few milliseconds. What the collector has not yet taken back counts as used, so that the truth is at most what
/// this says.
/// </summary>
internal sealed class PeakMemory : IDisposable
{
    private readonly Timer _timer;
    private long _peak;

    public PeakMemory() => _timer = new Timer(_ => Look(), null, 0, 5);

    public long Stop()
    {
        _timer.Dispose();
        Look();
        return _peak;
    }

    public void Dispose() => _timer.Dispose();

    private void Look() => _peak = Math.Max(_peak, GC.GetTotalMemory(forceFullCollection: false));
}
