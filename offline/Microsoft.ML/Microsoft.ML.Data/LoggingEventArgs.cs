using Microsoft.ML.Runtime;

namespace Microsoft.ML;

/// <summary>A message of a channel.</summary>
public class LoggingEventArgs : EventArgs
{
    public LoggingEventArgs(string message, ChannelMessageKind kind, string source)
    {
        RawMessage = message;
        Kind = kind;
        Source = source;
    }

    /// <summary>The message with its source and kind.</summary>
    public string Message => $"[Source={Source}, Kind={Kind}] {RawMessage}";

    public string RawMessage { get; }

    public ChannelMessageKind Kind { get; }

    /// <summary>The names of the component and of the phase it is in, as in "Trainer; Training".</summary>
    public string Source { get; }
}
