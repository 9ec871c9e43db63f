using System.Diagnostics;

namespace Microsoft.ML.Runtime;

/// <summary>The environment of an <see cref="MLContext"/>, or of a component that was registered in one.</summary>
internal sealed class HostEnvironment : IHost, IHostEnvironmentInternal, ICancelable
{
    private readonly HostEnvironment _parent;
    private readonly string _name;
    private readonly Action<string, ChannelMessage> _log;
    private volatile bool _isCanceled;

    public HostEnvironment(int? seed, Action<string, ChannelMessage> log)
    {
        _log = log;
        ComponentCatalog = new ComponentCatalog();
        ComponentCatalog.RegisterAssembly(typeof(HostEnvironment).Assembly);
        Seed = seed;
        Rand = seed is { } value ? new Random(value) : new Random();
        TempFilePath = Path.GetTempPath();
    }

    /// <summary>A component's environment: a snapshot of its parent's settings.</summary>
    private HostEnvironment(HostEnvironment parent, string name, int? seed)
    {
        _parent = parent;
        _log = parent._log;
        _name = FullName(parent._name, name);
        ComponentCatalog = parent.ComponentCatalog;
        Seed = seed ?? parent.Seed;
        lock (parent.Rand)
            Rand = new Random(seed ?? parent.Rand.Next());
        GpuDeviceId = parent.GpuDeviceId;
        FallbackToCpu = parent.FallbackToCpu;
        TempFilePath = parent.TempFilePath;
    }

    public ComponentCatalog ComponentCatalog { get; }

    public Random Rand { get; }

    public int? Seed { get; }

    public int? GpuDeviceId { get; set; }

    public bool FallbackToCpu { get; set; }

    public string TempFilePath { get; set; }

    public bool IsCanceled => _isCanceled || _parent is { IsCanceled: true };

    public string ContextDescription => _name ?? nameof(MLContext);

    public void CancelExecution() => _isCanceled = true;

    public IHost Register(string name, int? seed = null, bool? verbose = null)
    {
        this.CheckNonEmpty(name, nameof(name));
        return new HostEnvironment(this, name, seed);
    }

    public IChannel Start(string name)
    {
        this.CheckNonEmpty(name, nameof(name));
        return new Channel(this, FullName(_name, name));
    }

    public IPipe<TMessage> StartPipe<TMessage>(string name) => Start(name) as IPipe<TMessage> ?? new Pipe<TMessage>(this);

    public IProgressChannel StartProgressChannel(string name) => new ProgressChannel();

    public TException Process<TException>(TException ex) where TException : Exception
    {
        ex.Data[Contracts.ContextKey] ??= ContextDescription;
        return ex;
    }

    private static string FullName(string parent, string name) => parent is null ? name : $"{parent}; {name}";

    /// <summary>A pipe that nobody listens to.</summary>
    private class Pipe<TMessage>(HostEnvironment host) : IPipe<TMessage>
    {
        public string ContextDescription => host.ContextDescription;

        public TException Process<TException>(TException ex) where TException : Exception => host.Process(ex);

        public virtual void Send(TMessage msg)
        {
        }

        public virtual void Dispose()
        {
        }
    }

    private sealed class Channel : Pipe<ChannelMessage>, IChannel
    {
        private readonly HostEnvironment _host;
        private readonly string _source;
        private readonly Stopwatch _watch = Stopwatch.StartNew();

        public Channel(HostEnvironment host, string source) : base(host)
        {
            _host = host;
            _source = source;
            Trace(MessageSensitivity.None, "Channel started");
        }

        public override void Send(ChannelMessage msg) => _host._log(_source, msg);

        public override void Dispose()
        {
            if (!_watch.IsRunning)
                return;
            _watch.Stop();
            Trace(MessageSensitivity.None, "Channel finished. Elapsed {0:c}.", _watch.Elapsed);
        }

        public void Trace(MessageSensitivity sensitivity, string fmt) => Send(ChannelMessageKind.Trace, sensitivity, fmt);

        public void Trace(MessageSensitivity sensitivity, string fmt, params object[] args) =>
            Send(ChannelMessageKind.Trace, sensitivity, fmt, args);

        public void Info(MessageSensitivity sensitivity, string fmt) => Send(ChannelMessageKind.Info, sensitivity, fmt);

        public void Info(MessageSensitivity sensitivity, string fmt, params object[] args) =>
            Send(ChannelMessageKind.Info, sensitivity, fmt, args);

        public void Warning(MessageSensitivity sensitivity, string fmt) => Send(ChannelMessageKind.Warning, sensitivity, fmt);

        public void Warning(MessageSensitivity sensitivity, string fmt, params object[] args) =>
            Send(ChannelMessageKind.Warning, sensitivity, fmt, args);

        public void Error(MessageSensitivity sensitivity, string fmt) => Send(ChannelMessageKind.Error, sensitivity, fmt);

        public void Error(MessageSensitivity sensitivity, string fmt, params object[] args) =>
            Send(ChannelMessageKind.Error, sensitivity, fmt, args);

        private void Send(ChannelMessageKind kind, MessageSensitivity sensitivity, string fmt, object[] args = null) =>
            Send(new ChannelMessage(kind, sensitivity, fmt, args));
    }

    /// <summary>Progress goes nowhere: an <see cref="MLContext"/> has no way to listen to it.</summary>
    private sealed class ProgressChannel : IProgressChannel
    {
        public void SetHeader(ProgressHeader header, Action<IProgressEntry> fillAction)
        {
        }

        public void Checkpoint(params double?[] values)
        {
        }

        public IProgressChannel StartProgressChannel(string name) => new ProgressChannel();

        public void Dispose()
        {
        }
    }
}
