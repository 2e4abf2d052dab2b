using NpmMirror.Options;
using NpmMirror.Storage;

namespace NpmMirror.Maintenance;

/// <summary>
/// Looks at everything a mirror holds: the log's chain, every document, every tarball's bytes. Beside a running mirror, in bounded memory, and resumable:
/// a run that was cut short is gone on with.
/// </summary>
public sealed class Verifier
{
    private readonly IMetadataStore _store;
    private readonly IBlobStore _blobs;
    private readonly ByteBudget _budget;
    private readonly MirrorOptions _options;
    private readonly TimeProvider _time;

    internal Verifier(IMetadataStore store, IBlobStore blobs, ByteBudget budget, MirrorOptions options, TimeProvider time) =>
        (_store, _blobs, _budget, _options, _time) = (store, blobs, budget, options, time);

    /// <summary>The half that an older run has done says too little about today.</summary>
    private static readonly TimeSpan ContinuedMax = TimeSpan.FromDays(7);

    /// <summary>Runs.</summary>
    /// <exception cref="MirrorException">The store cannot be used, or another verification runs.</exception>
    public async Task<VerifySummary> RunAsync(VerifyRequest request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        await using var lease = await TakeLeaseAsync(cancellationToken);
        try
        {
            return await LookAsync(request, lease?.Token ?? cancellationToken);
        }
        catch (OperationCanceledException) when (lease is { IsLost: true })
        {
            throw lease.Lost();
        }
    }

    private async Task<VerifySummary> LookAsync(VerifyRequest request, CancellationToken token)
    {
        var now = _time.GetUtcNow();
        var known = await VerifyMarks.ReadAsync(_store.Notes, token);
        var isContinued = !request.StartsAnew && known.BegunAt is { } earlier && now - earlier < ContinuedMax;
        var begunAt = isContinued ? known.BegunAt!.Value : now;
        var due = begunAt - request.OlderThan;
        var marks = await (isContinued ? known : Begin(known, begunAt, due, request)).KeepAsync(_store.Notes, token);

        var tally = new VerifyTally(request);
        var documents = new DocumentCheck(_store, _budget, tally);
        (marks, var head) = await new LogVerification(_store, documents, tally).RunAsync(marks, request.NotedHead, token);
        if (!marks.AreDocumentsDone)
        {
            marks = await new DocumentVerification(_store, documents, new PromiseVerification(_store.Packages, _store.Tarballs, _blobs, _budget, request, tally), _options, request, tally).RunAsync(await marks.KeepAsync(_store.Notes, token), token);
        }

        await marks.KeepAsync(_store.Notes, token);
        if (request.Completeness is { } completeness)
        {
            await completeness.RunAsync(request, tally, token);
        }

        await new TarballVerification(_store, _blobs, request, tally, _time).RunAsync(due, token);
        await (marks with { BegunAt = null, LastPackage = null, IsInGraveyard = false, AreDocumentsDone = false }).KeepAsync(_store.Notes, token);
        return tally.Sum(begunAt, isContinued, head);
    }

    /// <summary>The marks of a new run: after the rows that were verified recently enough, else at the beginning.</summary>
    private static VerifyMarks Begin(VerifyMarks known, DateTimeOffset begunAt, DateTimeOffset due, VerifyRequest request)
    {
        var believes = request.OlderThan > TimeSpan.Zero;
        var isLogBelieved = believes && request.NotedHead is null && known.LogRightAt >= due;
        return known with
        {
            BegunAt = begunAt,
            IsLogBelieved = isLogBelieved,
            LogPosition = isLogBelieved ? known.LogPosition : 0,
            LogHash = isLogBelieved ? known.LogHash : null,
            AreDocumentsDone = believes && known.DocumentsRightAt >= due,
            LastPackage = null,
            IsInGraveyard = false,
        };
    }

    /// <summary>Null if the store cannot be written: then no other process can move the marks either.</summary>
    private async Task<MaintenanceLease?> TakeLeaseAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await MaintenanceLease.TakeAsync(_store, "verify", _time, cancellationToken);
        }
        catch (MirrorException trouble) when (trouble.Fault == MirrorFault.StoreReadOnly)
        {
            return null;
        }
    }
}
