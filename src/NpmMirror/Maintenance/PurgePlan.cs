using NpmMirror.Log;
using NpmMirror.Options;
using NpmMirror.Packuments;
using NpmMirror.Storage;

namespace NpmMirror.Maintenance;

/// <summary>The parts of one package to purge: decided from its row and its history.</summary>
internal sealed class PurgePlan
{
    private readonly PackumentIndex _index;
    private readonly bool _isWhole;
    private readonly bool _isHeld;
    private readonly HashSet<string> _gone = new(StringComparer.Ordinal);
    private readonly List<LogPosition> _payloads = [];
    private readonly HashSet<Digest> _documents = [];

    private PurgePlan(PackageRow row, RemovedOptions removed)
    {
        _index = PackumentIndex.FromBytes(row.Index.Span, row.Name);
        _isHeld = !row.Facts.IsRemoved;
        _isWhole = row.Facts.Removal is { } kind && removed.ModeOf(kind) == RemovedMode.Purge;
    }

    /// <summary>Rows whose payloads quote purged data.</summary>
    internal IReadOnlyList<LogPosition> Payloads => _payloads;

    /// <summary>Documents that hold it.</summary>
    internal IReadOnlyList<Digest> Documents => [.. _documents];

    /// <summary>Bytes of both that are still there.</summary>
    internal long SizeBytes { get; private set; }

    /// <summary>Decides.</summary>
    internal static async Task<PurgePlan> MakeAsync(IPackageTable packages, ILogTable log, PackageRow row, RemovedOptions removed, CancellationToken cancellationToken)
    {
        var plan = new PurgePlan(row, removed);

        // 1. Removed parts, and since when. 2. Events about them until then.
        var until = await plan.FindGoneAsync(log, row, removed, cancellationToken);
        await foreach (var past in log.ReadHistoryAsync(row.Name, cancellationToken).TakeWhile(past => past.Position <= until))
        {
            plan.Look(past);
        }

        if (plan._isHeld)
        {
            plan._documents.Remove(row.DocumentSha256);
        }

        foreach (var sha256 in plan._documents)
        {
            plan.SizeBytes += await SizeOfAsync(packages, row, sha256, cancellationToken);
        }

        return plan;
    }

    private static async Task<long> SizeOfAsync(IPackageTable packages, PackageRow row, Digest sha256, CancellationToken cancellationToken)
    {
        try
        {
            var document = await packages.ReadArchivedAsync(row.Name, sha256, cancellationToken) ?? (sha256 == row.DocumentSha256 ? (await packages.ReadAsync(row.Name, cancellationToken))?.Document : null);
            return document?.Bytes.Length ?? 0;
        }
        catch (MirrorException damage) when (damage.Fault == MirrorFault.StoreDamaged)
        {
            // Its length is not known, but it counts.
            return 1;
        }
    }

    /// <summary>Whether the tarball of this version goes.</summary>
    internal bool Takes(string version) => _gone.Contains(version) || (_isWhole && (!_isHeld || _index.Find(version) is null));

    private async Task<LogPosition> FindGoneAsync(ILogTable log, PackageRow row, RemovedOptions removed, CancellationToken cancellationToken)
    {
        var until = LogPosition.Zero;
        await foreach (var past in log.ReadHistoryAsync(row.Name, cancellationToken))
        {
            if (past.Type == EventTypes.PackageRemoved && _isWhole)
            {
                until = past.Position;
            }
            else if (past.Type == EventTypes.VersionRemoved && removed.Unpublished == RemovedMode.Purge && EventPayload.FromRow(past) is VersionRemoved version && _index.Find(version.Version) is null)
            {
                _gone.Add(version.Version);
                until = past.Position;
            }
        }

        return until;
    }

    private void Look(LogRow past)
    {
        _documents.UnionWith(ArchivedReferences.Of(past));
        if (past.Payload is { } payload && Quotes(EventPayload.FromRow(past)!))
        {
            _payloads.Add(past.Position);
            SizeBytes += payload.Length;
        }
    }

    private bool Quotes(RegistryEvent told) => told switch
    {
        VersionRemoved removed => removed.Manifest.Json is not null && (_isWhole || _gone.Contains(removed.Version)),
        VersionChanged changed => changed.Versions.Any(version => (_isWhole || _gone.Contains(version.Version)) && version.Members.Any(member => member.Old.Json is not null)),
        Deprecated deprecated => deprecated.Deprecations.Any(deprecation => deprecation.Message is not null && (_isWhole || deprecation.Versions.Any(_gone.Contains))),
        MaintainersChanged changed => _isWhole && (changed.From.Json is not null || changed.To.Json is not null),
        MetadataChanged changed => _isWhole && changed.Members.Any(member => member.Old.Json is not null),
        _ => false,
    };
}
