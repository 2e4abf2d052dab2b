using System.Runtime.CompilerServices;
using NpmMirror.Options;
using NpmMirror.Packuments;
using NpmMirror.Storage;
using NpmMirror.Visibility;

namespace NpmMirror.Syncing;

/// <summary>
/// Attestations that were passed on once, kept for the time when the upstream is away: of held versions, and no more bytes than
/// <see cref="MirrorOptions.AttestationsMaxBytes"/>, because any client may ask for any of them.
/// </summary>
internal sealed class KeptAttestations(IKeptTable documents, IPackageTable packages, MirrorOptions options, TimeProvider time) : IDisposable
{
    private const string PathPrefix = "/-/npm/v1/attestations/";
    private const int OneMaxBytes = 4 * 1024 * 1024;

    private static readonly TimeSpan CountEvery = TimeSpan.FromMinutes(1);

    private readonly VisibilityRules _visibility = new(options.Removed);
    private readonly SemaphoreSlim _turn = new(1);
    private long? _keptBytes;
    private long _countedAt;

    /// <summary>Where the upstream has those of a version.</summary>
    internal static string PathOf(PackageName package, string version) => $"{PathPrefix}{package.UrlSegment}@{Uri.EscapeDataString(version)}";

    /// <inheritdoc/>
    public void Dispose() => _turn.Dispose();

    /// <summary>The kept attestations of a version, or null.</summary>
    internal ValueTask<ReadOnlyMemory<byte>?> FindAsync(PackageName package, string version, CancellationToken cancellationToken) =>
        documents.FindKeptAsync(PathOf(package, version), cancellationToken);

    /// <summary>Keeps an answer, if its version is held and there is room.</summary>
    internal async Task KeepAsync(PackageName package, string version, ReadOnlyMemory<byte> json, CancellationToken cancellationToken)
    {
        if (json.Length > OneMaxBytes || !await IsHeldAsync(package, version, cancellationToken))
        {
            return;
        }

        await _turn.WaitAsync(cancellationToken);
        try
        {
            if (await HasRoomAsync(json.Length, cancellationToken))
            {
                await documents.KeepAsync(PathOf(package, version), json, cancellationToken);
                _keptBytes += json.Length;
            }
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>Unneeded attestations: those of versions that are not held any more, and those over the limit.</summary>
    internal async IAsyncEnumerable<KeptMark> ListUselessAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var keptBytes = 0L;
        await foreach (var mark in documents.ListKeptAsync(PathPrefix, cancellationToken))
        {
            if (keptBytes + mark.SizeBytes <= options.AttestationsMaxBytes && Parse(mark.Path) is var (package, version) && await IsHeldAsync(package, version, cancellationToken))
            {
                keptBytes += mark.SizeBytes;
            }
            else
            {
                yield return mark;
            }
        }
    }

    private static (PackageName Package, string Version)? Parse(string path)
    {
        var text = path[PathPrefix.Length..];
        var at = text.LastIndexOf('@');
        return at > 0 && PackageName.TryParse(Uri.UnescapeDataString(text[..at]), out var package) ? (package, Uri.UnescapeDataString(text[(at + 1)..])) : null;
    }

    private async ValueTask<bool> IsHeldAsync(PackageName package, string version, CancellationToken cancellationToken) =>
        await packages.FindAsync(package, cancellationToken) is { } row
        && _visibility.Of(row) is null
        && PackumentIndex.FromBytes(row.Index.Span, row.Name).Find(version) is not null;

    private async ValueTask<bool> HasRoomAsync(int sizeBytes, CancellationToken cancellationToken)
    {
        // The next count shows the attestations that gc deleted meanwhile, perhaps in another process.
        if (_keptBytes is null || (_keptBytes + sizeBytes > options.AttestationsMaxBytes && time.GetElapsedTime(_countedAt) >= CountEvery))
        {
            _countedAt = time.GetTimestamp();
            _keptBytes = await documents.ListKeptAsync(PathPrefix, cancellationToken).Select(mark => mark.SizeBytes).SumAsync(cancellationToken);
        }

        return _keptBytes + sizeBytes <= options.AttestationsMaxBytes;
    }
}
