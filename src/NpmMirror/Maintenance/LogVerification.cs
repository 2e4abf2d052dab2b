using System.Globalization;
using NpmMirror.Log;
using NpmMirror.Storage;

namespace NpmMirror.Maintenance;

/// <summary>Whether the log is as it was written: dense, chained, each payload as it was chained, and each document of the past that an event points into.</summary>
internal sealed class LogVerification(IMetadataStore store, DocumentCheck documents, VerifyTally tally)
{
    private const int MarkEvery = 10_000;

    /// <summary>Checks the rows after the mark, and that its own row is still there.</summary>
    /// <param name="marks">Where to begin; from <see cref="VerifyMarks.LogPosition"/> on.</param>
    /// <param name="noted">A head noted elsewhere, or null.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <returns>The marks moved as far as all was right, and the end of the log.</returns>
    internal async Task<(VerifyMarks Marks, LogHead Head)> RunAsync(VerifyMarks marks, LogHead? noted, CancellationToken cancellationToken)
    {
        var head = await store.Log.ReadHeadAsync(cancellationToken);
        var last = marks.LogHash is { } hash && Digest.TryFromHex(hash, out var marked) ? new LogHead(new LogPosition(marks.LogPosition), marked) : new LogHead(LogPosition.Zero, ChainHash.Genesis);
        var isRight = await IsStillThereAsync(last, "the last verification", cancellationToken) && (noted is not { } known || await IsStillThereAsync(known, "you", cancellationToken));
        await foreach (var row in store.Log.ReadLogAsync(last.Position, cancellationToken))
        {
            isRight &= await IsRightAsync(row, last, cancellationToken) && IsHead(row, head);
            last = new LogHead(row.Position, row.Hash);
            tally.CountLogRow(head.Position.Value);
            if (isRight && row.Position.Value % MarkEvery == 0)
            {
                marks = await (marks with { LogPosition = last.Position.Value, LogHash = last.Hash.Hex }).KeepAsync(store.Notes, cancellationToken);
            }
        }

        if (last.Position < head.Position)
        {
            isRight = false;
            Report(head.Position.Value, string.Create(CultureInfo.InvariantCulture, $"The log ended at row {head.Position.Value}, and the rows after {last.Position.Value} are not there: they were deleted."));
        }

        var rightAt = marks.IsLogBelieved ? marks.LogRightAt : marks.BegunAt;
        return (isRight ? marks with { LogPosition = last.Position.Value, LogHash = last.Hash.Hex, LogRightAt = rightAt } : marks with { LogRightAt = null }, last);
    }

    private async Task<bool> IsRightAsync(LogRow row, LogHead last, CancellationToken cancellationToken)
    {
        if (row.Damage is { } damage)
        {
            Report(row.Position.Value, damage);
            return false;
        }

        if (row.Position.Value != last.Position.Value + 1)
        {
            Report(last.Position.Value + 1, string.Create(CultureInfo.InvariantCulture, $"After row {last.Position.Value} comes {row.Position.Value}: rows are missing."));
            return false;
        }

        if (ChainHash.Next(last.Hash, row) != row.Hash)
        {
            Report(row.Position.Value, $"The row ({row.Type} of {row.Package}) does not follow from the one before it: one of the two was changed.");
            return false;
        }

        if (row.Payload is { } payload && Digest.OfSha256(payload.Span) != row.PayloadSha256)
        {
            Report(row.Position.Value, $"The payload of the row ({row.Type} of {row.Package}) is not the one that was chained.");
            return false;
        }

        return await IsPastThereAsync(row, cancellationToken);
    }

    /// <summary>The head is kept beside the log, so a last row that was replaced by another with a right link shows.</summary>
    private bool IsHead(LogRow row, LogHead head)
    {
        if (row.Position != head.Position || row.Hash == head.Hash)
        {
            return true;
        }

        Report(row.Position.Value, $"The row ({row.Type} of {row.Package}) is not the one that was the log's last: hash {head.Hash.Hex} was kept beside the log, {row.Hash.Hex} is there now. The past was changed.");
        return false;
    }

    private async Task<bool> IsPastThereAsync(LogRow row, CancellationToken cancellationToken)
    {
        HashSet<Digest> references;
        try
        {
            references = ArchivedReferences.Of(row);
        }
        catch (MirrorException trouble)
        {
            Report(row.Position.Value, trouble.Message);
            return false;
        }

        var isRight = true;
        foreach (var sha256 in references)
        {
            if (await documents.FindArchiveProblemAsync(row.Package, sha256, cancellationToken) is { } problem)
            {
                isRight = false;
                tally.Report(new VerifyFinding(VerifyFault.ArchiveDamaged, $"{row.Package} {sha256.Hex}", $"{problem} Row {row.Position} of the log ({row.Type}) points into it.", false));
            }
        }

        return isRight;
    }

    private async Task<bool> IsStillThereAsync(LogHead known, string whose, CancellationToken cancellationToken)
    {
        if (known.Position == LogPosition.Zero)
        {
            return true;
        }

        var row = await store.Log.ReadLogAsync(new LogPosition(known.Position.Value - 1), cancellationToken).FirstOrDefaultAsync(cancellationToken);
        if (row?.Position == known.Position && row.Hash == known.Hash)
        {
            return true;
        }

        Report(known.Position.Value, $"The row is not what {whose} noted: hash {known.Hash.Hex} then, {row?.Hash.Hex ?? "none"} now. The past was changed.");
        return false;
    }

    private void Report(long position, string problem) =>
        tally.Report(new VerifyFinding(VerifyFault.LogBroken, string.Create(CultureInfo.InvariantCulture, $"log {position}"), problem, false));
}
