using NpmMirror.Log;

namespace NpmMirror.Storage;

/// <summary>Whether rows of another log continue this one. Every engine asks it in the step that appends them.</summary>
public static class LogContinuation
{
    /// <summary>The head after these rows.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.StoreDamaged"/>: a row does not follow the one before it, or is not what its hashes say.</exception>
    public static LogHead Of(LogHead head, IEnumerable<LogRow> rows)
    {
        ArgumentNullException.ThrowIfNull(rows);
        foreach (var row in rows)
        {
            var problem = row.Damage is { } damage ? damage
                : row.Position.Value != head.Position.Value + 1 ? $"The row {row.Position} of the log does not follow the row {head.Position}."
                : row.Payload is { } payload && Digest.OfSha256(payload.Span) != row.PayloadSha256 ? $"The row {row.Position} of the log has another payload than its hash says."
                : ChainHash.Next(head.Hash, row) != row.Hash ? $"The row {row.Position} of the log breaks the chain of hashes."
                : null;
            if (problem is not null)
            {
                throw new MirrorException(MirrorFault.StoreDamaged, $"{problem} npm-mirror verify tells more; restore the store from a backup.");
            }

            head = new LogHead(row.Position, row.Hash);
        }

        return head;
    }
}
