using System.Runtime.CompilerServices;
using NpmMirror.Log;
using NpmMirror.Packuments;
using NpmMirror.Storage;

namespace NpmMirror.Removals;

/// <summary>Takedowns, from the log; and the clients that had fetched them, from the record of accesses.</summary>
internal sealed class Takedowns(IPackageTable packages, ILogTable log, ITarballTable tarballs)
{
    private const int ClientsMax = 10_000;

    private static readonly TimeSpan ClockSetBackMax = TimeSpan.FromHours(1);

    /// <summary>All takedowns seen since a moment, oldest first, streamed.</summary>
    /// <param name="since">Not those seen before.</param>
    /// <param name="package">Only those of this package; null: of all.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="MirrorException">The store cannot be read.</exception>
    public async IAsyncEnumerable<Takedown> ListAsync(DateTimeOffset? since, PackageName? package, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var rows = package is { } name ? log.ReadHistoryAsync(name, cancellationToken) : log.ReadLogAsync(since is { } from ? await FindStartAsync(from, cancellationToken) : LogPosition.Zero, cancellationToken);
        await foreach (var row in rows)
        {
            if (row.Type is EventTypes.PackageRemoved or EventTypes.VersionRemoved && !(row.SeenAt < since))
            {
                yield return await DescribeAsync(row, cancellationToken);
            }
        }
    }

    /// <summary>A position before all rows seen since then, found by halving: rows are in the order of their times, but for clocks that were set back.</summary>
    private async ValueTask<LogPosition> FindStartAsync(DateTimeOffset since, CancellationToken cancellationToken)
    {
        var (low, high) = (0L, (await log.ReadHeadAsync(cancellationToken)).Position.Value);
        while (low < high)
        {
            var middle = (low + high) / 2;
            var row = await log.ReadLogAsync(new LogPosition(middle), cancellationToken).FirstOrDefaultAsync(cancellationToken);
            if (row is not null && row.SeenAt < since - ClockSetBackMax)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return new LogPosition(low);
    }

    private async Task<Takedown> DescribeAsync(LogRow row, CancellationToken cancellationToken)
    {
        var told = EventPayload.FromRow(row);
        var version = (told as VersionRemoved)?.Version;
        var now = await packages.FindAsync(row.Package, cancellationToken);
        var (clients, count) = await FindClientsAsync(row, version, cancellationToken);
        return new Takedown(
            row.Package,
            version,
            told is PackageRemoved removed ? removed.Kind : RemovalKind.Unpublished,
            row.At,
            row.SeenAt,
            (told as PackageRemoved)?.Reason,
            row.Position,
            now is not null && IsBack(now, row, version),
            told is null,
            clients,
            count);
    }

    private static bool IsBack(PackageRow now, LogRow row, string? version) => row.Type == EventTypes.PackageRemoved
        ? now.Facts.Removal is null
        : version is not null && now.Facts.Removal is null && PackumentIndex.TryFromBytes(now.Index.Span, now.Name)?.Find(version) is not null;

    private async Task<(IReadOnlyList<TakedownClient> Clients, long Count)> FindClientsAsync(LogRow row, string? version, CancellationToken cancellationToken)
    {
        if (version is null && row.Type == EventTypes.VersionRemoved)
        {
            // Purged: its file is not known any more.
            return ([], 0);
        }

        var day = DateOnly.FromDateTime(row.SeenAt.UtcDateTime);
        var clients = new Dictionary<string, TakedownClient>(StringComparer.Ordinal);
        var left = new HashSet<string>(StringComparer.Ordinal);
        await foreach (var access in tarballs.ListAccessAsync(row.Package, version is null ? null : TarballUrls.FileName(row.Package, version), cancellationToken))
        {
            if (!clients.TryGetValue(access.Client, out var client))
            {
                if (clients.Count == ClientsMax)
                {
                    left.Add(access.Client);
                    continue;
                }

                client = new TakedownClient(access.Client, 0, 0, access.Day, access.Day);
            }

            var isBefore = access.Day <= day;
            clients[access.Client] = client with
            {
                Before = client.Before + (isBefore ? access.Count : 0),
                After = client.After + (isBefore ? 0 : access.Count),
                FirstDay = access.Day < client.FirstDay ? access.Day : client.FirstDay,
                LastDay = access.Day > client.LastDay ? access.Day : client.LastDay,
            };
        }

        return ([.. clients.Values.OrderBy(client => client.Client, StringComparer.Ordinal)], clients.Count + left.Count);
    }
}
