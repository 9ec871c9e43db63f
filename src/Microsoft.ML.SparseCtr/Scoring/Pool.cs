namespace Microsoft.ML.SparseCtr;

/// <summary>Keeps what calls work in, so that later calls allocate nothing: as many as there have been calls at one time.</summary>
/// <param name="create">Makes what one call works in.</param>
internal sealed class Pool<T>(Func<T> create) where T : class
{
    private readonly Stack<T> _idle = new();

    public T Rent()
    {
        lock (_idle)
            return _idle.TryPop(out T? item) ? item : create();
    }

    public void Return(T item)
    {
        lock (_idle)
            _idle.Push(item);
    }
}
