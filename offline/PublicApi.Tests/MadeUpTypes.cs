// Types that are almost those of ML.NET, to be found out.
namespace Microsoft.ML.Runtime;

public class ProgressHeader
{
    public ProgressHeader(params string[] metricNames) => UnitNames = metricNames;

    public readonly IReadOnlyList<string> UnitNames;

    public void MadeUp(int count = 3)
    {
    }
}

public interface IPipe<TMessage> : IDisposable, IAsyncDisposable
{
    void Send(TMessage message);
}

public enum ChannelMessageKind
{
    Trace = 0,
    Fatal = 4,
}

public static class MadeUp
{
}
