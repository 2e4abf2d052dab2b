using NpmMirror.Log;

namespace NpmMirror.Storage;

public sealed partial class MemoryStore
{
    /// <inheritdoc/>
    public ValueTask PutPackageAsync(StoredPackage package, bool isPinned, CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        var (row, document) = (package.Row, package.Document);
        lock (_lock)
        {
            if (_packages.GetValueOrDefault(row.Name) is not { } previous)
            {
                _names.Insert(~_names.BinarySearch(row.Name), row.Name);
            }
            else if (previous.IsPinned && previous.Document.Sha256 != document.Sha256)
            {
                _archive.TryAdd((row.Name, previous.Document.Sha256), previous.Document);
            }

            var owned = row with { Facts = Truncate(row.Facts), Index = row.Index.ToArray() };
            _packages[row.Name] = new MemoryPackage(owned, document with { Bytes = document.Bytes.ToArray() }, isPinned);
        }

        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public ValueTask<bool> PutArchivedAsync(PackageName name, StoredDocument document, CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        lock (_lock)
        {
            if (_packages.GetValueOrDefault(name) is not { } package)
            {
                return ValueTask.FromResult(false);
            }

            if (!package.IsPinned || package.Document.Sha256 != document.Sha256)
            {
                _archive.TryAdd((name, document.Sha256), document with { Bytes = document.Bytes.ToArray() });
            }

            return ValueTask.FromResult(true);
        }
    }

    /// <inheritdoc/>
    public ValueTask<int> AppendLogAsync(IReadOnlyList<LogRow> rows, CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        lock (_lock)
        {
            List<LogRow> known = [.. rows.TakeWhile(row => _packages.ContainsKey(row.Package))];
            LogContinuation.Of(Head, known);
            _log.AddRange(known.Select(row => row with { Payload = row.Payload is { } payload ? (ReadOnlyMemory<byte>?)payload.ToArray() : null }));
            _signal.Advance(Head.Position);
            return ValueTask.FromResult(known.Count);
        }
    }
}
