using NpmMirror.Diagnostics;
using NpmMirror.Options;
using NpmMirror.Packuments;
using NpmMirror.Storage;

namespace NpmMirror.Maintenance;

/// <summary>
/// Keeps tarballs within a budget of bytes: those served longest ago are deleted, never-served ones first. Tarballs that the upstream could not send again stay, whatever the
/// budget. Two passes over the table, in bounded memory: the first finds the hour before which all are deleted.
/// </summary>
internal sealed class TarballEviction(IMetadataStore store, BlobDisposal disposal, MirrorOptions options, CollectionTally tally, TimeProvider time)
{
    /// <summary>Younger ones are just being stored, or served.</summary>
    internal static readonly TimeSpan SettledAfter = TimeSpan.FromMinutes(10);

    private (PackageName Name, PackumentIndex? Index)? _package;

    /// <summary>Bytes that could not be had again.</summary>
    internal long IrreplaceableBytes { get; private set; }

    /// <summary>Evicts, or for a dry run only tells. Returns how many bytes of the table it freed.</summary>
    internal async Task<long> RunAsync(bool isDryRun, CancellationToken cancellationToken)
    {
        var wanted = options.Gc.MaxBytes == 0 ? 0 : (await store.CountAsync(cancellationToken)).TarballBytes - options.Gc.MaxBytes;
        if (wanted <= 0)
        {
            return 0;
        }

        var settled = time.GetUtcNow() - SettledAfter;
        var hours = await MeasureAsync(settled, cancellationToken);
        var (last, ofLast) = FindCut(hours, wanted);
        var freed = 0L;
        await foreach (var row in HeldAsync(cancellationToken))
        {
            var hour = HourOf(row);
            if (hour > last || (hour == last && ofLast <= 0) || !IsSettled(row, settled) || !await IsReplaceableAsync(row, cancellationToken))
            {
                continue;
            }

            if (!isDryRun)
            {
                // False if it was served or verified since: then it is not the oldest any more.
                if (!await store.Tarballs.ForgetTarballAsync(row, cancellationToken))
                {
                    continue;
                }

                CrashPoint.Hit(CrashPoint.AfterForgetting);
                await disposal.TryDeleteAsync(row.Sha512, settled, cancellationToken);
            }

            freed += row.SizeBytes;
            ofLast -= hour == last ? row.SizeBytes : 0;
            tally.Add(GarbageKind.Evicted, $"{row.Package}/{row.File}", row.SizeBytes);
        }

        return freed;
    }

    private IAsyncEnumerable<TarballRow> HeldAsync(CancellationToken cancellationToken) => store.Tarballs.ListTarballsAsync(null, cancellationToken).Where(row => row.State == TarballState.Held);

    /// <summary>Bytes by the hour of their last use. A dozen years are 100,000 entries.</summary>
    private async Task<SortedDictionary<long, long>> MeasureAsync(DateTimeOffset settled, CancellationToken cancellationToken)
    {
        var hours = new SortedDictionary<long, long>();
        await foreach (var row in HeldAsync(cancellationToken))
        {
            if (!await IsReplaceableAsync(row, cancellationToken))
            {
                IrreplaceableBytes += row.SizeBytes;
            }
            else if (IsSettled(row, settled))
            {
                hours[HourOf(row)] = hours.GetValueOrDefault(HourOf(row)) + row.SizeBytes;
            }
        }

        return hours;
    }

    /// <summary>The last hour that is needed, and how many bytes of it.</summary>
    private static (long Hour, long Bytes) FindCut(SortedDictionary<long, long> hours, long wanted)
    {
        foreach (var (hour, bytes) in hours)
        {
            if (bytes >= wanted)
            {
                return (hour, wanted);
            }

            wanted -= bytes;
        }

        return (long.MaxValue, wanted);
    }

    private static long HourOf(TarballRow row) => row.LastServedAt is { } at ? at.ToUnixTimeSeconds() / 3600 : long.MinValue;

    private static bool IsSettled(TarballRow row, DateTimeOffset settled) => !(row.LastServedAt > settled) && !(row.VerifiedAt > settled);

    /// <summary>Whether a later request would bring it back: the packument lists it, and promises the stored bytes.</summary>
    private async ValueTask<bool> IsReplaceableAsync(TarballRow row, CancellationToken cancellationToken)
    {
        if (_package is not { } known || known.Name != row.Package)
        {
            var package = await store.Packages.FindAsync(row.Package, cancellationToken);
            known = (row.Package, package is { Facts.IsRemoved: false } ? PackumentIndex.TryFromBytes(package.Index.Span, package.Name) : null);
            _package = known;
        }

        return row.Problem is null && options.Tarballs != TarballMode.Never && known.Index?.Find(row.Version) is not null;
    }
}
