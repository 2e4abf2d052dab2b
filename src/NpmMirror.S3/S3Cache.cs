using NpmMirror.Storage;

namespace NpmMirror.S3;

/// <summary>
/// Tarballs of the bucket on this machine's disk, those that were read last: a bounded memory that may be deleted at any time. What is there is whole, since
/// it gets there as every blob does, after its hash was compared.
/// </summary>
internal sealed class S3Cache(FileBlobStore files, long maxBytes)
{
    private readonly Lock _lock = new();
    private readonly LinkedList<(Digest Sha512, long SizeBytes)> _byUse = [];
    private readonly Dictionary<Digest, LinkedListNode<(Digest Sha512, long SizeBytes)>> _held = [];
    private readonly HashSet<Digest> _filling = [];
    private Task? _loading;
    private long _bytes;

    /// <summary>Whether anything is kept.</summary>
    internal bool IsOn => maxBytes > 0;

    /// <summary>The tarball's file, or null.</summary>
    internal async ValueTask<BlobReader?> OpenAsync(Digest sha512, CancellationToken cancellationToken)
    {
        if (!IsOn)
        {
            return null;
        }

        await LoadAsync(cancellationToken);
        if (!Touch(sha512))
        {
            return null;
        }

        return await files.OpenAsync(sha512, cancellationToken);
    }

    /// <summary>A place to write a tarball that is being read from the bucket; null where another reader writes it, where it is too long, or where the disk refuses.</summary>
    internal async ValueTask<BlobWriter?> BeginAsync(Digest sha512, long sizeBytes, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            // A tarball that needs most of the room would drive out all others.
            if (sizeBytes > maxBytes / 4 || !_filling.Add(sha512))
            {
                return null;
            }
        }

        try
        {
            return await files.CreateAsync(cancellationToken);
        }
        catch (MirrorException)
        {
            End(sha512);
            return null;
        }
    }

    /// <summary>Ends what <see cref="BeginAsync"/> began.</summary>
    internal void End(Digest sha512)
    {
        lock (_lock)
        {
            _filling.Remove(sha512);
        }
    }

    /// <summary>Keeps what was written, and drops what was not read for the longest time. A disk that refuses keeps nothing.</summary>
    /// <param name="written">All its bytes.</param>
    /// <param name="storedAt">When they came into the bucket, which is what readers are told wherever they read.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    internal async ValueTask KeepAsync(BlobWriter written, DateTimeOffset storedAt, CancellationToken cancellationToken)
    {
        if (!IsOn || written.LengthBytes > maxBytes)
        {
            return;
        }

        await LoadAsync(cancellationToken);
        try
        {
            var sha512 = await written.CommitAsync(cancellationToken);
            await using var kept = await files.OpenAsync(sha512, cancellationToken);
            if (kept?.FilePath is { } path)
            {
                File.SetLastWriteTimeUtc(path, storedAt.UtcDateTime);
                Add(sha512, written.LengthBytes);
            }
        }
        catch (Exception trouble) when (trouble is MirrorException or IOException or UnauthorizedAccessException)
        {
            return;
        }

        while (Oldest() is { } old)
        {
            await DropAsync(old, cancellationToken);
        }
    }

    /// <summary>Forgets a tarball and deletes its file.</summary>
    internal async ValueTask DropAsync(Digest sha512, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (_held.Remove(sha512, out var node))
            {
                _byUse.Remove(node);
                _bytes -= node.Value.SizeBytes;
            }
        }

        if (await files.CondemnAsync(sha512, cancellationToken) is { } condemned)
        {
            await condemned.DeleteAsync(cancellationToken);
        }
    }

    /// <summary>What an earlier run left is known before anything is looked for.</summary>
    private Task LoadAsync(CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            _loading ??= Task.Run(ListAsync, CancellationToken.None);
        }

        return _loading.WaitAsync(cancellationToken);
    }

    private async Task ListAsync()
    {
        await foreach (var file in files.ListAsync(CancellationToken.None).OrderBy(file => file.StoredAt))
        {
            Add(file.Sha512, file.SizeBytes);
        }
    }

    private bool Touch(Digest sha512)
    {
        lock (_lock)
        {
            if (!_held.TryGetValue(sha512, out var node))
            {
                return false;
            }

            _byUse.Remove(node);
            _byUse.AddLast(node);
            return true;
        }
    }

    private void Add(Digest sha512, long sizeBytes)
    {
        lock (_lock)
        {
            if (!_held.ContainsKey(sha512))
            {
                _held.Add(sha512, _byUse.AddLast((sha512, sizeBytes)));
                _bytes += sizeBytes;
            }
        }
    }

    /// <summary>What has to go; null while all has room.</summary>
    private Digest? Oldest()
    {
        lock (_lock)
        {
            return _bytes > maxBytes && _byUse.First is { } first ? first.Value.Sha512 : null;
        }
    }
}
