namespace Microsoft.ML.SparseCtr;

/// <summary>
/// Keeps the states of the users who were last seen, in so much memory and no more: others are forgotten, to be encoded anew, or read, when they come back. States are of one model: a scorer
/// of another one has a cache of its own. Safe for concurrent use.
/// </summary>
public sealed class UserStateCache
{
    /// <summary>What an entry takes besides its state and its name, about.</summary>
    private const int EntryBytes = 300;

    private readonly long _maximumBytes;
    private readonly Lock _lock = new();
    private readonly Dictionary<string, LinkedListNode<Entry>> _entries = [];

    /// <summary>Those that were used last come first.</summary>
    private readonly LinkedList<Entry> _byUse = [];
    private long _byteSize, _evictions;

    /// <param name="maximumBytes">Bytes that all states may take, at least 1. A state that alone takes more is forgotten after each use.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="maximumBytes"/> is below 1.</exception>
    public UserStateCache(long maximumBytes)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(maximumBytes, 1);
        _maximumBytes = maximumBytes;
    }

    /// <summary>Users whose states are kept.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
                return _entries.Count;
        }
    }

    /// <summary>Bytes that they take, about.</summary>
    public long ByteSize
    {
        get
        {
            lock (_lock)
                return _byteSize;
        }
    }

    /// <summary>States that were forgotten so far to make room.</summary>
    public long Evictions
    {
        get
        {
            lock (_lock)
                return _evictions;
        }
    }

    /// <summary>Uses a user's state, which no other call for the same user uses or forgets meanwhile: it may be scored with and appended to.</summary>
    /// <typeparam name="T">Of what comes of it.</typeparam>
    /// <param name="userId">The user.</param>
    /// <param name="create">Makes the state where there is none.</param>
    /// <param name="use">What is done with it.</param>
    public T Use<T>(string userId, Func<UserState> create, Func<UserState, T> use)
    {
        ArgumentNullException.ThrowIfNull(userId);
        ArgumentNullException.ThrowIfNull(create);
        ArgumentNullException.ThrowIfNull(use);
        while (true)
        {
            Entry entry = Begin(userId);
            try
            {
                lock (entry)
                {
                    if (!entry.IsForgotten)
                        return use(entry.State ??= create() ?? throw new InvalidOperationException($"{nameof(create)} made no state."));
                }
            }
            finally
            {
                End(entry);
            }
        }
    }

    /// <inheritdoc cref="Use{T}(string, Func{UserState}, Func{UserState, T})"/>
    public void Use(string userId, Func<UserState> create, Action<UserState> use)
    {
        ArgumentNullException.ThrowIfNull(use);
        Use(userId, create, state =>
        {
            use(state);
            return true;
        });
    }

    /// <summary>Forgets a user's state. Who is using it may go on with it; the next one makes a new one.</summary>
    /// <returns>Whether there was one.</returns>
    public bool Remove(string userId)
    {
        ArgumentNullException.ThrowIfNull(userId);
        lock (_lock)
        {
            if (!_entries.TryGetValue(userId, out LinkedListNode<Entry>? node))
                return false;
            Forget(node);
            return true;
        }
    }

    private Entry Begin(string userId)
    {
        lock (_lock)
        {
            if (_entries.TryGetValue(userId, out LinkedListNode<Entry>? node))
                _byUse.Remove(node);
            else
                _entries.Add(userId, node = new LinkedListNode<Entry>(new Entry(userId)));
            _byUse.AddFirst(node);
            node.Value.Users++;
            return node.Value;
        }
    }

    private void End(Entry entry)
    {
        lock (_lock)
        {
            entry.Users--;
            bool isKept = _entries.TryGetValue(entry.UserId, out LinkedListNode<Entry>? own) && own.Value == entry;
            if (!isKept)
                return;
            if (entry.State is null)
            {
                if (entry.Users == 0)
                    Forget(own!);
                return;
            }
            long bytes = entry.State.ByteSize + EntryBytes + 2L * entry.UserId.Length;
            _byteSize += bytes - entry.Bytes;
            entry.Bytes = bytes;
            // One that alone is too large goes, and not all others for it.
            if (bytes > _maximumBytes && entry.Users == 0)
                Evict(own!);
            for (LinkedListNode<Entry>? node = _byUse.Last; node is not null && _byteSize > _maximumBytes;)
            {
                LinkedListNode<Entry>? before = node.Previous;
                if (node.Value.Users == 0)
                    Evict(node);
                node = before;
            }
        }
    }

    private void Evict(LinkedListNode<Entry> node)
    {
        Forget(node);
        _evictions++;
    }

    private void Forget(LinkedListNode<Entry> node)
    {
        node.Value.IsForgotten = true;
        _entries.Remove(node.Value.UserId);
        _byUse.Remove(node);
        _byteSize -= node.Value.Bytes;
    }

    private sealed class Entry(string userId)
    {
        public string UserId => userId;

        public UserState? State { get; set; }

        /// <summary>Who waited for it begins again.</summary>
        public volatile bool IsForgotten;

        /// <summary>As counted last.</summary>
        public long Bytes { get; set; }

        /// <summary>Calls that use it or wait for it: it is not forgotten before they have.</summary>
        public int Users { get; set; }
    }
}
