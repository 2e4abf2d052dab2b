using System.Runtime.CompilerServices;

namespace NpmMirror.Storage;

/// <summary>The store of tests and tries, and the reference for the contract: starts from nothing, ends with the process.</summary>
/// <remarks>One lock, plain collections, no cleverness: where another engine differs from this one, the other is wrong.</remarks>
public sealed partial class MemoryStore(TimeProvider timeProvider) : IMetadataStore, IPackageTable, ILogTable, IQueueTable, ITarballTable, INoteTable, IKeptTable, ILeaseTable, IImportTable
{
    private readonly Lock _lock = new();
    private readonly Dictionary<PackageName, MemoryPackage> _packages = [];
    private readonly List<PackageName> _names = [];
    private readonly Dictionary<(PackageName, Digest), StoredDocument> _archive = [];
    private bool _isDisposed;

    /// <inheritdoc/>
    public string Location => "memory:";

    /// <inheritdoc/>
    public IPackageTable Packages => this;

    /// <inheritdoc/>
    public ILogTable Log => this;

    /// <inheritdoc/>
    public IQueueTable Queue => this;

    /// <inheritdoc/>
    public ITarballTable Tarballs => this;

    /// <inheritdoc/>
    public INoteTable Notes => this;

    /// <inheritdoc/>
    public IKeptTable Kept => this;

    /// <inheritdoc/>
    public ILeaseTable Leases => this;

    /// <inheritdoc/>
    public IImportTable Import => this;

    /// <inheritdoc/>
    public Task OpenAsync(CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public ValueTask<string?> CheckWritableAsync(CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        return ValueTask.FromResult<string?>(null);
    }

    /// <inheritdoc/>
    public ValueTask<StoreCounts> CountAsync(CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        lock (_lock)
        {
            var held = _tarballs.Values.Where(row => row.State == TarballState.Held);
            var removed = _packages.Values.LongCount(package => package.Row.Facts.IsRemoved);
            return ValueTask.FromResult(new StoreCounts(
                _packages.Count - removed,
                removed,
                _packages.Values.Sum(package => (long)package.Row.RawSizeBytes),
                held.LongCount(),
                held.Sum(row => row.SizeBytes),
                _queue.Count));
        }
    }

    /// <inheritdoc/>
    public ValueTask<PackageRow?> FindAsync(PackageName name, CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        lock (_lock)
        {
            return ValueTask.FromResult(_packages.GetValueOrDefault(name)?.Row);
        }
    }

    /// <inheritdoc/>
    public ValueTask<StoredPackage?> ReadAsync(PackageName name, CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        lock (_lock)
        {
            return ValueTask.FromResult(_packages.TryGetValue(name, out var package) ? new StoredPackage(package.Row, package.Document) : null);
        }
    }

    /// <inheritdoc/>
    public ValueTask<StoredDocument?> ReadArchivedAsync(PackageName name, Digest sha256, CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        lock (_lock)
        {
            var current = _packages.GetValueOrDefault(name) is { IsPinned: true } package && package.Document.Sha256 == sha256 ? package.Document : null;
            return ValueTask.FromResult(_archive.GetValueOrDefault((name, sha256)) ?? current);
        }
    }

    /// <inheritdoc/>
    public ValueTask<CommitResult> CommitAsync(PackageCommit commit, CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        lock (_lock)
        {
            var previous = _packages.GetValueOrDefault(commit.Name);
            var generation = previous?.Row.Generation ?? 0;
            if (generation != commit.ExpectedGeneration)
            {
                return ValueTask.FromResult(new CommitResult(false, generation, previous?.Row.LastPosition ?? LogPosition.Zero));
            }

            // Copies: the caller's buffers may be pooled or under a budget.
            var document = commit.Document is { } added ? added with { Bytes = added.Bytes.ToArray() } : previous?.Document
                ?? throw new ArgumentException($"The first commit of {commit.Name} has no document.", nameof(commit));
            var isPinned = (previous?.IsPinned ?? false) || commit.ArchivesPrevious;
            if (commit.Document is not null)
            {
                if (previous is not null && isPinned)
                {
                    _archive[(commit.Name, previous.Document.Sha256)] = previous.Document;
                }

                isPinned = false;
            }

            var position = AppendToLog(commit, generation + 1) ?? previous?.Row.LastPosition ?? LogPosition.Zero;
            var row = new PackageRow
            {
                Name = commit.Name,
                Generation = generation + 1,
                Facts = Truncate(commit.Facts),
                LastPosition = position,
                Index = commit.Document is not null ? commit.Index.ToArray() : previous!.Row.Index,
                DocumentSha256 = document.Sha256,
                RawSizeBytes = document.RawSizeBytes,
            };
            _packages[commit.Name] = new MemoryPackage(row, document, isPinned);
            if (previous is null)
            {
                _names.Insert(~_names.BinarySearch(commit.Name), commit.Name);
            }

            _signal.Advance(Head.Position);
            return ValueTask.FromResult(new CommitResult(true, row.Generation, position));
        }
    }

    /// <inheritdoc/>
    public ValueTask<long?> PurgeAsync(PackagePurge purge, CancellationToken cancellationToken)
    {
        ThrowIfEnded(cancellationToken);
        lock (_lock)
        {
            if (_packages.GetValueOrDefault(purge.Package) is not { } package || package.Row.Generation != purge.ExpectedGeneration)
            {
                return ValueTask.FromResult<long?>(null);
            }

            var document = purge.Documents.Contains(package.Document.Sha256) ? Purged(package.Document) : package.Document;
            var bytes = PurgeLog(purge) + package.Document.Bytes.Length - document.Bytes.Length;
            foreach (var sha256 in purge.Documents)
            {
                if (_archive.TryGetValue((purge.Package, sha256), out var archived))
                {
                    bytes += archived.Bytes.Length;
                    _archive[(purge.Package, sha256)] = Purged(archived);
                }
            }

            _packages[purge.Package] = package with { Row = package.Row with { Generation = package.Row.Generation + 1 }, Document = document };
            return ValueTask.FromResult<long?>(bytes);
        }
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<PackageRow> ListAsync(PackageName? after, bool isRemoved, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var last = after;
        while (true)
        {
            ThrowIfEnded(cancellationToken);
            List<PackageRow> page;
            lock (_lock)
            {
                page = [.. _names.Skip(IndexAfter(last)).Take(ListPage).Select(name => _packages[name].Row)];
            }

            if (page.Count == 0)
            {
                yield break;
            }

            last = page[^1].Name;
            foreach (var row in page.Where(row => row.Facts.IsRemoved == isRemoved))
            {
                yield return row;
            }

            await Task.CompletedTask;
        }
    }

    /// <inheritdoc/>
    public IAsyncEnumerable<PackageMark> ListMarksAsync(string from, bool isRemoved, CancellationToken cancellationToken) => ListAsync(null, isRemoved, cancellationToken)
        .Where(row => Utf8Order.Instance.Compare(row.Name.Value, from) >= 0)
        .Select(row => new PackageMark(row.Name, row.Facts.Rev, row.Facts.Upstream));

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        _isDisposed = true;
        return ValueTask.CompletedTask;
    }

    private const int ListPage = 256;

    private static StoredDocument Purged(StoredDocument document) => document with { Codec = DocumentCodec.Purged, Bytes = ReadOnlyMemory<byte>.Empty };

    private int IndexAfter(PackageName? name)
    {
        if (name is null)
        {
            return 0;
        }

        var at = _names.BinarySearch(name.Value);
        return at < 0 ? ~at : at + 1;
    }

    private void ThrowIfEnded(CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        cancellationToken.ThrowIfCancellationRequested();
    }

    // Every engine keeps times to the millisecond, in UTC; so does the reference.
    private static DateTimeOffset Truncate(DateTimeOffset time) => DateTimeOffset.FromUnixTimeMilliseconds(time.ToUnixTimeMilliseconds());

    private static DateTimeOffset? Truncate(DateTimeOffset? time) => time is { } value ? Truncate(value) : null;

    private static PackageFacts Truncate(PackageFacts facts) => facts with
    {
        ModifiedAt = Truncate(facts.ModifiedAt),
        FirstSeenAt = Truncate(facts.FirstSeenAt),
        StoredAt = Truncate(facts.StoredAt),
    };

    // Pinned: events point into the document, so it goes to the archive when another takes its place.
    private sealed record MemoryPackage(PackageRow Row, StoredDocument Document, bool IsPinned);
}
