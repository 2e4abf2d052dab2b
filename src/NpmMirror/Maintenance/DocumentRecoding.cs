using NpmMirror.Storage;

namespace NpmMirror.Maintenance;

/// <summary>
/// Gives documents that an earlier program stored the form of today's, which is smaller and read faster. Nothing else changes: no event, no fact. Beside a running mirror, one
/// at a time, a document in memory at once. Documents of the past keep their form.
/// </summary>
/// <param name="store">The mirror's store.</param>
/// <param name="time">The clock.</param>
public sealed class DocumentRecoding(IMetadataStore store, TimeProvider time)
{
    /// <summary>Runs.</summary>
    /// <param name="damaged">Told of each package whose document is damaged; it stays as it is.</param>
    /// <param name="cancellationToken">Ends it; what was done stays done.</param>
    /// <exception cref="MirrorException">The store is in trouble, or a collection or another recoding runs.</exception>
    public async Task<Recoded> RunAsync(Action<PackageName> damaged, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(damaged);
        await using var lease = await MaintenanceLease.TakeAsync(store, "gc", time, cancellationToken);
        try
        {
            var (documents, before, after) = (0L, 0L, 0L);
            foreach (var isRemoved in (bool[])[false, true])
            {
                await foreach (var row in store.Packages.ListAsync(null, isRemoved, lease.Token))
                {
                    if (await TryRecodeAsync(row.Name, damaged, lease.Token) is var (old, now))
                    {
                        documents++;
                        before += old;
                        after += now;
                    }
                }
            }

            return new Recoded(documents, before, after);
        }
        catch (OperationCanceledException) when (lease.IsLost)
        {
            throw lease.Lost();
        }
    }

    /// <summary>The document's length before and after; null where it stays.</summary>
    private async Task<(int Before, int After)?> TryRecodeAsync(PackageName name, Action<PackageName> damaged, CancellationToken cancellationToken)
    {
        try
        {
            if (await store.Packages.ReadAsync(name, cancellationToken) is not { Document: { Codec: DocumentCodec.Gzip or DocumentCodec.Brotli } document } package)
            {
                return null;
            }

            var recoded = document.As(DocumentCodecs.Usual, name);
            var result = await store.Packages.CommitAsync(
                new PackageCommit { Name = name, ExpectedGeneration = package.Row.Generation, Facts = package.Row.Facts, Document = recoded, Index = package.Row.Index, Events = [], IsPatient = true },
                cancellationToken);

            // Another writer was faster, and has given it today's form.
            return result.IsCommitted ? (document.Bytes.Length, recoded.Bytes.Length) : null;
        }
        catch (MirrorException e) when (e.Fault == MirrorFault.StoreDamaged)
        {
            damaged(name);
            return null;
        }
    }
}

/// <summary>What a recoding did.</summary>
/// <param name="Documents">How many documents have another form now.</param>
/// <param name="BytesBefore">Their length before.</param>
/// <param name="BytesAfter">Their length now.</param>
public sealed record Recoded(long Documents, long BytesBefore, long BytesAfter);
