using System.Buffers;
using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Packuments;
using NpmMirror.Storage;
using NpmMirror.Upstream;

namespace NpmMirror.Tarballs;

/// <summary>Fetches one tarball from the upstream into the store, while readers follow.</summary>
internal sealed partial class TarballFetch(ITarballTable tarballs, IBlobStore blobs, RegistryClient upstream, TarballMetrics metrics, TimeProvider time, ILogger logger)
{
    /// <summary>How young a version must be for a 404 to mean "not everywhere yet": the registry's edges learn of a publish within minutes.</summary>
    internal static readonly TimeSpan FreshFor = TimeSpan.FromMinutes(10);

    // The bytes since the last read, in one piece: a download that shares the machine with hundreds of readers seldom has its turn.
    private const int ChunkBytes = 512 * 1024;
    private static readonly TimeSpan[] FreshRetries = [.. new[] { 1, 2, 4, 8 }.Select(seconds => TimeSpan.FromSeconds(seconds))];

    private const int ReplacingTriesMax = 5;

    private long _fetchedBytes;

    /// <summary>Bytes that came since the start.</summary>
    internal long FetchedBytes => Interlocked.Read(ref _fetchedBytes);

    /// <summary>Fetches; the arrival is told how it ends.</summary>
    /// <remarks>
    /// 1 open a temporary file · 2 ask the upstream, with retries for a fresh version · 3 append the bytes that come · 4 compare with the promise ·
    /// 5 let the readers have the end · 6 make the blob durable · 7 write its row. A crash between 6 and 7 leaves a blob without a row, never a row without its blob.
    /// </remarks>
    internal async Task FetchAsync(TarballArrival arrival, CancellationToken cancellationToken)
    {
        var request = arrival.Request;
        var writer = await blobs.CreateAsync(cancellationToken);
        arrival.Begin(writer, null);
        var answer = await AskAsync(request, cancellationToken);
        if (answer is not TarballAnswer.Opened opened)
        {
            var absent = (TarballAnswer.Absent)answer;
            await RecordMissingAsync(request, absent, cancellationToken);
            arrival.Refuse(Explain(request, absent));
            return;
        }

        using var response = opened.Response;
        using var check = new IntegrityCheck(request.Promise);
        using var tar = check.IsPromised ? null : new TarCheck();
        arrival.Begin(writer, opened.LengthBytes);
        await AppendAllAsync(opened.Body, writer, check, tar, arrival, cancellationToken);

        var sha512 = writer.ComputeSha512();
        var problem = tar is not null ? await tar.FinishAsync(cancellationToken) : check.Algorithm == HashAlgorithmName.SHA512 ? check.Verify(sha512.Bytes) : check.Finish();
        if (problem is not null)
        {
            await RecordCorruptAsync(request, problem, cancellationToken);
            LogCorrupt(request.Name, writer.LengthBytes, problem);
            throw Wrong(request, $"{problem} It was not kept; a later request tries again.");
        }

        arrival.Verify();
        await writer.CommitAsync(cancellationToken);
        metrics.StoredBytes.Add(writer.LengthBytes);
        CrashPoint.Hit(CrashPoint.AfterBlobRename);
        await RecordHeldAsync(request, sha512, writer.LengthBytes, check.IsPromised, cancellationToken);
    }

    /// <summary>Asks the upstream; a 404 for a version published a moment ago is asked again for some seconds.</summary>
    internal async Task<TarballAnswer> AskAsync(TarballRequest request, CancellationToken cancellationToken)
    {
        var url = request.ParseUrl(upstream.AddressOf(request.Package));
        for (var attempt = 0; ; attempt++)
        {
            var answer = await upstream.OpenTarballAsync(url, cancellationToken);
            if (answer is not TarballAnswer.Absent { Status: 404 } || !IsFresh(request) || attempt == FreshRetries.Length)
            {
                return answer;
            }

            await Task.Delay(FreshRetries[attempt], time, cancellationToken);
        }
    }

    /// <summary>The client's answer for the upstream's refusal.</summary>
    internal static TarballResult.Absent Explain(TarballRequest request, TarballAnswer.Absent absent) =>
        new(absent.Status == 451 ? 451 : 404, $"The upstream has no tarball {request.Name} (it answered {absent.Status}{(absent.Reason is null ? "" : ": " + absent.Reason)}).");

    /// <summary>The failure that the upstream sent something else than the tarball.</summary>
    internal static MirrorException Wrong(TarballRequest request, string problem) =>
        new(MirrorFault.UpstreamMalformed, $"What the upstream sent is not tarball {request.Name}: {problem}", isTransient: true);

    /// <summary>Whether the version was published a moment ago.</summary>
    internal bool IsFresh(TarballRequest request) => request.Version.PublishedAt is { } at && time.GetUtcNow() - at < FreshFor;

    private async Task AppendAllAsync(Stream body, BlobWriter writer, IntegrityCheck check, TarCheck? tar, TarballArrival arrival, CancellationToken cancellationToken)
    {
        // The writer computes SHA-512 anyway; only other promises need a second hash.
        var needsCheck = check.Algorithm != HashAlgorithmName.SHA512;
        var buffer = ArrayPool<byte>.Shared.Rent(ChunkBytes);
        try
        {
            int read;
            while ((read = await body.ReadAsync(buffer, cancellationToken)) > 0)
            {
                await writer.AppendAsync(buffer.AsMemory(0, read), cancellationToken);
                Interlocked.Add(ref _fetchedBytes, read);
                if (needsCheck)
                {
                    check.Append(buffer.AsSpan(0, read));
                }

                if (tar is not null)
                {
                    await tar.AppendAsync(buffer.AsMemory(0, read), cancellationToken);
                }

                arrival.Grew();
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private async Task RecordHeldAsync(TarballRequest request, Digest sha512, long sizeBytes, bool isPromised, CancellationToken cancellationToken)
    {
        var row = Row(request, TarballState.Held, null) with { Sha512 = sha512, SizeBytes = sizeBytes, VerifiedAt = time.GetUtcNow() };
        row = isPromised ? row : row.Unpromised();
        if (await tarballs.PutTarballAsync(row, cancellationToken))
        {
            return;
        }

        if (!request.IsReplacement)
        {
            // The row names other bytes, which are lost: it stays as evidence, and verify reports it.
            LogReplaced(request.Name, sha512);
            return;
        }

        // A crash in between leaves the new bytes under the promised hash, where the next request finds them.
        for (var tries = 0; tries < ReplacingTriesMax; tries++)
        {
            var old = await tarballs.FindTarballAsync(request.Package, request.File, cancellationToken);
            if (old is { State: TarballState.Held })
            {
                await tarballs.ForgetTarballAsync(old, cancellationToken);
            }

            // Not if it was served, verified or written meanwhile: it is held then, with other bytes.
            if (await tarballs.PutTarballAsync(row with { LastServedAt = old?.LastServedAt }, cancellationToken))
            {
                LogReplacing(request.Name, old?.Sha512 ?? default, sha512);
                return;
            }
        }

        throw new MirrorException(MirrorFault.StoreUnavailable, $"The row of tarball {request.Name} was written by others {ReplacingTriesMax} times in a row; run it again.", isTransient: true);
    }

    private async Task RecordMissingAsync(TarballRequest request, TarballAnswer.Absent absent, CancellationToken cancellationToken)
    {
        if (!IsFresh(request))
        {
            await TryPutAsync(Row(request, TarballState.Missing, $"The upstream answered {absent.Status}."), cancellationToken);
        }
    }

    private Task RecordCorruptAsync(TarballRequest request, string problem, CancellationToken cancellationToken) =>
        TryPutAsync(Row(request, TarballState.Corrupt, problem), cancellationToken);

    // A store that cannot be written must not hide the tarball's problem.
    private async Task TryPutAsync(TarballRow row, CancellationToken cancellationToken)
    {
        try
        {
            await tarballs.PutTarballAsync(row, cancellationToken);
        }
        catch (MirrorException trouble)
        {
            LogUnrecorded($"{row.Package}/{row.File}", trouble.Message);
        }
    }

    private static TarballRow Row(TarballRequest request, TarballState state, string? problem) => new()
    {
        Package = request.Package,
        File = request.File,
        Version = request.Version.Version,
        State = state,
        UpstreamUrl = request.UpstreamUrl,
        Problem = problem,
    };

    [LoggerMessage(EventIds.Mirror + 200, LogLevel.Warning, "The {Bytes} bytes that came for tarball {Tarball} are something else and were not kept: {Problem}")]
    private partial void LogCorrupt(string tarball, long bytes, string problem);

    [LoggerMessage(EventIds.Mirror + 201, LogLevel.Error, "Tarball {Tarball} was held with other bytes, which are missing on disk; those that the upstream sends now ({Sha512}) are not stored in their place")]
    private partial void LogReplaced(string tarball, Digest sha512);

    [LoggerMessage(EventIds.Mirror + 203, LogLevel.Warning, "Tarball {Tarball} was held with other bytes ({Old}); those that its packument promises now ({Sha512}) have taken their place")]
    private partial void LogReplacing(string tarball, Digest old, Digest sha512);

    [LoggerMessage(EventIds.Mirror + 202, LogLevel.Debug, "The problem of tarball {Tarball} could not be recorded: {Problem}")]
    private partial void LogUnrecorded(string tarball, string problem);
}
