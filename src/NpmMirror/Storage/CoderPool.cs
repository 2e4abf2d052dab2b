using System.Collections.Concurrent;

namespace NpmMirror.Storage;

/// <summary>Coders that are used again: each has tables of its own, hundreds of kilobytes outside the managed heap. As many are kept as there are processors.</summary>
internal sealed class CoderPool<T>(Func<T> create)
    where T : class, IDisposable
{
    private readonly ConcurrentBag<T> _free = [];

    /// <summary>One for the caller alone, until it is disposed.</summary>
    internal Taken Take() => new(this, _free.TryTake(out var free) ? free : create());

    private void Return(T coder)
    {
        if (_free.Count < Environment.ProcessorCount)
        {
            _free.Add(coder);
        }
        else
        {
            coder.Dispose();
        }
    }

    /// <summary>A coder that goes back at the end.</summary>
    internal readonly struct Taken(CoderPool<T> pool, T value) : IDisposable
    {
        internal T Value => value;

        public void Dispose() => pool.Return(value);
    }
}
