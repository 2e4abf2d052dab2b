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

    internal bool IsLeased(DateTimeOffset now) => Text is { Token: not null } && StoredMoments.IsHeld(Text.LeasedUntil, now);

    internal QueueItem? ItemAt(DateTimeOffset now) => Item()?.BelievedAt(now);

    internal QueueLease ToLease() => new(Item()!, Text!.Ticket, Text.Token!);

    /// <summary>When it can be taken, by this node's clock.</summary>
    internal DateTimeOffset? NextAt(DateTimeOffset now, DateTimeOffset leaseNow)
    {
        var due = ItemAt(now)?.DueAt;
        var until = IsLeased(leaseNow) ? now + (Text!.LeasedUntil - leaseNow) : due;
        return until > due ? until : due;
    }

    internal Queued Added(QueueItem item, DateTimeOffset now)
    {
        var added = item with { DueAt = item.DueAt.Truncated(), QueuedAt = item.QueuedAt.Truncated(), MissingSince = item.MissingSince.Truncated() };
        var ticket = (Text?.Ticket ?? 0) + 1;
        var merged = With(ItemAt(now)?.MergedWith(added) ?? added);
        return merged with { Text = merged.Text! with { Ticket = ticket, BlindTicket = IsThere && item.WantedRev is null ? ticket : Text?.BlindTicket ?? 0 } };
    }

    internal Queued Leased(DateTimeOffset now, DateTimeOffset until)
    {
        var believed = With(ItemAt(now)!);
        return believed with { Text = believed.Text! with { Token = Guid.NewGuid().ToString("N"), LeasedUntil = until.Truncated() }, IsAmongLeased = true };
    }

    internal Queued Renewed(DateTimeOffset until) => this with { Text = Text! with { LeasedUntil = until.Truncated() }, IsAmongLeased = true };

    internal Queued Completed(QueueLease lease, string? doneRev, DateTimeOffset now) => Text!.Ticket != lease.Ticket && (Text.BlindTicket > lease.Ticket || Item()!.IsWantedBeyond(doneRev))
        ? With(Item()!.Renewed(now.Truncated())).Free()
        : this with { Text = null, IsAmongLeased = false };

    internal Queued Postponed(QueueLease lease, QueuePostponement postponement, DateTimeOffset now)
    {
        var isDueAtOnce = Text!.Ticket != lease.Ticket && now < postponement.DueAt;
        return With(Item()! with
        {
            DueAt = isDueAtOnce ? now.Truncated() : postponement.DueAt.Truncated(),
            Attempts = Text.Attempts + 1,
            LastError = postponement.Error,
            MissingSince = postponement.MissingSince.Truncated(),
        }).Free();
    }

    /// <summary>As it is believed now. A lease that has ended keeps its token: its holder may still end its work, until another takes the item.</summary>
    internal Queued Believed(DateTimeOffset now, DateTimeOffset leaseNow) => !IsThere ? this : With(ItemAt(now)!) with { IsAmongLeased = IsLeased(leaseNow) };

    private Queued Free() => this with { Text = Text! with { Token = null, LeasedUntil = default }, IsAmongLeased = false };

    private QueueItem? Item() => Text is null ? null : new QueueItem
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
    };

    private Queued With(QueueItem item) => this with
    {
        Text = new QueuedText
        {
            Priority = (int)item.Priority,
            DueAt = item.DueAt,
            QueuedAt = item.QueuedAt,
            WantedRev = item.WantedRev,
            IsDeletedRow = item.IsDeletedRow,
            Attempts = item.Attempts,
            MissingSince = item.MissingSince,
            LastError = item.LastError,
            Ticket = Text?.Ticket ?? 0,
            BlindTicket = Text?.BlindTicket ?? 0,
            Token = Text?.Token,
            LeasedUntil = Text?.LeasedUntil ?? default,
        },
    };
}
