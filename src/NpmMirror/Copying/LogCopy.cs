using NpmMirror.Log;
using NpmMirror.Maintenance;
using NpmMirror.Storage;

namespace NpmMirror.Copying;

/// <summary>Compares the target's log with the source's row by row, and appends the rest as it is. Documents of the past go before the rows that point to them.</summary>
internal sealed class LogCopy(IMetadataStore source, IMetadataStore target, IImportTable import, PackageCopy packages, CopyTally tally)
{
    private const int RowsMax = 500;
    private const long PayloadMaxBytes = 4 * 1024 * 1024;

    // Some are long.
    private const int DocumentsAtATime = 16;

    internal async Task RunAsync(CancellationToken cancellationToken)
    {
        tally.BeginPart("log rows", (await source.Log.ReadHeadAsync(cancellationToken)).Position.Value);
        await CompareAsync(cancellationToken);
        var (batch, bytes) = (new List<LogRow>(), 0L);
        await foreach (var row in source.Log.ReadLogAsync((await target.Log.ReadHeadAsync(cancellationToken)).Position, cancellationToken))
        {
            batch.Add(row);
            bytes += row.Payload?.Length ?? 0;
            if (batch.Count == RowsMax || bytes >= PayloadMaxBytes)
            {
                await AppendAsync(batch, cancellationToken);
                (batch, bytes) = ([], 0);
            }
        }

        await AppendAsync(batch, cancellationToken);
    }

    private async Task CompareAsync(CancellationToken cancellationToken)
    {
        await using var rows = source.Log.ReadLogAsync(LogPosition.Zero, cancellationToken).GetAsyncEnumerator(cancellationToken);
        await foreach (var copied in target.Log.ReadLogAsync(LogPosition.Zero, cancellationToken))
        {
            tally.Look();
            if (!await rows.MoveNextAsync() || rows.Current with { Payload = null } != copied with { Payload = null })
            {
                throw new MirrorException(MirrorFault.StoreUnavailable, $"The log of {target.Location} is another than that of {source.Location} at {copied.Position}; copy into an empty place.");
            }

            var row = rows.Current;
            if (row.Payload is null && copied.Payload is not null)
            {
                // It was purged after the package's row was copied.
                await packages.CopyAsync(row.Package, cancellationToken);
            }
            else if (row.Payload is { } payload && !(copied.Payload is { } kept && kept.Span.SequenceEqual(payload.Span)))
            {
                throw new MirrorException(MirrorFault.StoreDamaged, $"The row {copied.Position} of the log of {target.Location} does not have the payload of the source's; copy into an empty place.");
            }
        }
    }

    private async Task AppendAsync(List<LogRow> rows, CancellationToken cancellationToken)
    {
        var documents = rows.SelectMany(row => ArchivedReferences.Of(row).Select(sha256 => (row.Package, Sha256: sha256))).Distinct();
        await Parallel.ForEachAsync(documents, new ParallelOptions { MaxDegreeOfParallelism = DocumentsAtATime, CancellationToken = cancellationToken }, async (document, token) =>
        {
            if (!await packages.CopyArchivedAsync(document.Package, document.Sha256, token))
            {
                // The source has it since its list was walked.
                await packages.CopyAsync(document.Package, token);
                await packages.CopyArchivedAsync(document.Package, document.Sha256, token);
            }

            tally.Copy("documents of the past");
        });
        for (var done = 0; done < rows.Count;)
        {
            var appended = await import.AppendLogAsync(rows[done..], cancellationToken);
            tally.Copy(appended);
            for (var i = 0; i < appended; i++)
            {
                tally.Look();
            }

            done += appended;
            if (done < rows.Count)
            {
                await packages.CopyAsync(rows[done].Package, cancellationToken);
            }
        }
    }
}
