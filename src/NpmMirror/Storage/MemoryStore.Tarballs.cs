using System.Runtime.CompilerServices;

namespace NpmMirror.Storage;

public sealed partial class MemoryStore
{
    private readonly Dictionary<(PackageName Package, string File), TarballRow> _tarballs = [];
    private readonly Dictionary<(PackageName Package, string File, string Client, DateOnly Day), long> _accesses = [];

    /// <inheritdoc/>
    public ValueTask<TarballRow?> FindTarballAsync(PackageName package, string file, CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        lock (_lock)
        {
            return ValueTask.FromResult(_tarballs.GetValueOrDefault((package, file)));
        }
    }

    /// <inheritdoc/>
    public ValueTask<bool> PutTarballAsync(TarballRow row, CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        lock (_lock)
        {
            var stored = _tarballs.GetValueOrDefault((row.Package, row.File));
            if (stored is { State: TarballState.Held } && stored.Sha512 != row.Sha512)
            {
                return ValueTask.FromResult(false);
            }

            _tarballs[(row.Package, row.File)] = row with { VerifiedAt = Truncate(row.VerifiedAt), LastServedAt = Later(Truncate(row.LastServedAt), stored?.LastServedAt) };
            return ValueTask.FromResult(true);
        }
    }

    /// <inheritdoc/>
    public ValueTask StampServedAsync(IReadOnlyList<TarballServed> served, CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        lock (_lock)
        {
            foreach (var stamp in served)
            {
                if (_tarballs.TryGetValue((stamp.Package, stamp.File), out var row))
                {
                    _tarballs[(stamp.Package, stamp.File)] = row with { LastServedAt = Later(row.LastServedAt, Truncate(stamp.At)) };
                }
            }
        }

        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public ValueTask StampVerifiedAsync(IReadOnlyList<TarballVerified> verified, CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        lock (_lock)
        {
            foreach (var (package, file, sha512, at) in verified)
            {
                if (_tarballs.TryGetValue((package, file), out var row) && row.State == TarballState.Held && row.Sha512 == sha512)
                {
                    _tarballs[(package, file)] = row with { VerifiedAt = at is { } moment ? Later(row.VerifiedAt, Truncate(moment)) : null };
                }
            }
        }

        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public ValueTask<bool> ForgetTarballAsync(TarballRow row, CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        lock (_lock)
        {
            return ValueTask.FromResult(row.State == TarballState.Held && _tarballs.GetValueOrDefault((row.Package, row.File)) == row && _tarballs.Remove((row.Package, row.File)));
        }
    }

    /// <inheritdoc/>
    public ValueTask<bool> IsReferencedAsync(Digest sha512, CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        lock (_lock)
        {
            return ValueTask.FromResult(_tarballs.Values.Any(row => row.State == TarballState.Held && row.Sha512 == sha512));
        }
    }

    /// <inheritdoc/>
    public IAsyncEnumerable<TarballRow> ListTarballsAsync(PackageName? package, CancellationToken cancellationToken) => SnapshotAsync(
        () => _tarballs.Values
            .Where(row => package is null || row.Package == package)
            .OrderBy(row => row.Package).ThenBy(row => row.File, Utf8Order.Instance),
        cancellationToken);

    /// <inheritdoc/>
    public ValueTask RecordAccessAsync(IReadOnlyList<TarballAccess> accesses, CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        lock (_lock)
        {
            foreach (var (package, file, client, day, count) in accesses)
            {
                _accesses[(package, file, client, day)] = _accesses.GetValueOrDefault((package, file, client, day)) + count;
            }
        }

        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public IAsyncEnumerable<TarballAccess> ListAccessAsync(PackageName package, string? file, CancellationToken cancellationToken) => SnapshotAsync(
        () => _accesses
            .Where(access => access.Key.Package == package && (file is null || access.Key.File == file))
            .OrderBy(access => access.Key.File, Utf8Order.Instance).ThenBy(access => access.Key.Client, Utf8Order.Instance).ThenBy(access => access.Key.Day)
            .Select(access => new TarballAccess(package, access.Key.File, access.Key.Client, access.Key.Day, access.Value)),
        cancellationToken);

    /// <inheritdoc/>
    public ValueTask<int> ForgetAccessAsync(DateOnly day, CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        lock (_lock)
        {
            var old = _accesses.Keys.Where(access => access.Day < day).ToList();
            old.ForEach(access => _accesses.Remove(access));
            return ValueTask.FromResult(old.Count);
        }
    }

    private async IAsyncEnumerable<T> SnapshotAsync<T>(Func<IEnumerable<T>> select, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        List<T> rows;
        lock (_lock)
        {
            rows = [.. select()];
        }

        foreach (var row in rows)
        {
            ThrowIfEnded(cancellationToken);
            yield return row;
        }

        await Task.CompletedTask;
    }

    private static DateTimeOffset? Later(DateTimeOffset? left, DateTimeOffset? right) => left is null || right > left ? right : left;
}
