using System.Text.Json;
using NpmMirror.Storage;
using StackExchange.Redis;

namespace NpmMirror.Redis;

/// <summary>An item of the queue as it is stored, and its changes.</summary>
/// <param name="Name">The package.</param>
/// <param name="Stored">The text under its name; null where there is none.</param>
/// <param name="Text">The item as read; null if there is none.</param>
/// <param name="IsAmongLeased">Whether it is found by when its lease ends, and not by when it is due.</param>
internal sealed record Queued(PackageName Name, RedisValue Stored, QueuedText? Text, bool IsAmongLeased)
{
    internal bool IsThere => Text is not null;

    internal QueuePriority Priority => Enum.IsDefined((QueuePriority)Text!.Priority) ? (QueuePriority)Text.Priority : QueuePriority.Bulk;

    internal static Queued Read(PackageName name, RedisValue stored)
    {
        if (stored.IsNull)
        {
            return new Queued(name, stored, null, false);
        }

        QueuedText? text = null;
        try
        {
            text = JsonSerializer.Deserialize((byte[])stored!, StoredJson.Default.QueuedText);
        }
        catch (JsonException)
        {
            // Another program wrote it: looked at once, for nothing in particular.
        }

        text ??= new QueuedText { Priority = (int)QueuePriority.Bulk, DueAt = DateTimeOffset.UnixEpoch, QueuedAt = DateTimeOffset.UnixEpoch, Ticket = 0, LastError = "The item could not be read." };
        return new Queued(name, stored, text, text.Token is not null);
    }

    internal bool IsLeased(DateTimeOffset now) => Entry?.IsLeased(now) is true;

    internal QueueItem? ItemAt(DateTimeOffset now) => Entry?.Item.BelievedAt(now);

    internal QueueLease ToLease() => Entry!.ToLease();

    /// <summary>When it can be taken, by this node's clock.</summary>
    internal DateTimeOffset? NextAt(DateTimeOffset now, DateTimeOffset leaseNow) => Entry?.NextAt(now, leaseNow);

    internal Queued Added(QueueItem item, DateTimeOffset now) => With(QueueEntry.Add(Entry, item, now), IsAmongLeased);

    internal Queued Leased(DateTimeOffset now, DateTimeOffset until) => With(Entry!.Leased(now, until), true);

    internal Queued Renewed(DateTimeOffset until) => With(Entry!.Renewed(until), true);

    internal Queued Completed(QueueLease lease, string? doneRev, DateTimeOffset now) => With(Entry!.Completed(lease, doneRev, now), false);

    internal Queued Postponed(QueueLease lease, QueuePostponement postponement, DateTimeOffset now) => With(Entry!.Postponed(lease, postponement, now), false);

    /// <summary>As it is believed now.</summary>
    internal Queued Believed(DateTimeOffset now, DateTimeOffset leaseNow) => Entry is { } entry ? With(entry with { Item = entry.Item.BelievedAt(now) }, IsLeased(leaseNow)) : this;

    private QueueEntry? Entry => Text is null ? null : new QueueEntry(
        new QueueItem
        {
            Name = Name,
            Priority = Priority,
            DueAt = Text.DueAt,
            QueuedAt = Text.QueuedAt,
            WantedRev = Text.WantedRev,
            IsDeletedRow = Text.IsDeletedRow,
            Attempts = Text.Attempts,
            MissingSince = Text.MissingSince,
            LastError = Text.LastError,
        },
        Text.Ticket,
        Text.BlindTicket,
        Text.Token,
        Text.LeasedUntil);

    private Queued With(QueueEntry? entry, bool isAmongLeased) => this with
    {
        IsAmongLeased = isAmongLeased,
        Text = entry is null ? null : new QueuedText
        {
            Priority = (int)entry.Item.Priority,
            DueAt = entry.Item.DueAt,
            QueuedAt = entry.Item.QueuedAt,
            WantedRev = entry.Item.WantedRev,
            IsDeletedRow = entry.Item.IsDeletedRow,
            Attempts = entry.Item.Attempts,
            MissingSince = entry.Item.MissingSince,
            LastError = entry.Item.LastError,
            Ticket = entry.Ticket,
            BlindTicket = entry.BlindTicket,
            Token = entry.Token,
            LeasedUntil = entry.LeasedUntil,
        },
    };
}
