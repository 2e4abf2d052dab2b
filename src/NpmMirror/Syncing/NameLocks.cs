namespace NpmMirror.Syncing;

/// <summary>One at a time per package, within this process: without <c>_rev</c> only the order of fetches tells which document is newer.</summary>
internal sealed class NameLocks
{
    private readonly Lock _lock = new();
    private readonly Dictionary<PackageName, Gate> _gates = [];

    /// <summary>Waits for the package's turn; disposing ends it.</summary>
    public async ValueTask<IDisposable> EnterAsync(PackageName name, CancellationToken cancellationToken)
    {
        Gate? gate;
        lock (_lock)
        {
            if (!_gates.TryGetValue(name, out gate))
            {
                _gates[name] = gate = new Gate();
            }

            gate.Users++;
        }

        try
        {
            await gate.Turn.WaitAsync(cancellationToken);
            return new Exit(this, name, gate);
        }
        catch
        {
            Leave(name, gate);
            throw;
        }
    }

    private void Leave(PackageName name, Gate gate)
    {
        lock (_lock)
        {
            if (--gate.Users == 0)
            {
                _gates.Remove(name);
                gate.Turn.Dispose();
            }
        }
    }

    private sealed class Gate
    {
        public SemaphoreSlim Turn { get; } = new(1, 1);

        public int Users { get; set; }
    }

    private sealed class Exit(NameLocks locks, PackageName name, Gate gate) : IDisposable
    {
        private int _hasLeft;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _hasLeft, 1) == 0)
            {
                gate.Turn.Release();
                locks.Leave(name, gate);
            }
        }
    }
}
