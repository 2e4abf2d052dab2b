using System.IO.Pipelines;
using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using NpmMirror.AspNetCore.Answers;
using NpmMirror.AspNetCore.Connections;
using NpmMirror.AspNetCore.Routing;
using NpmMirror.Diagnostics;
using NpmMirror.Options;
using NpmMirror.Packuments;
using NpmMirror.Syncing;
using NpmMirror.Tarballs;
using NpmMirror.Visibility;

namespace NpmMirror.AspNetCore.Packages;

/// <summary>
/// Answers for tarballs. One that is stored costs a remembered row and reads of its file; any other is looked up in the packument and
/// streamed while it arrives.
/// </summary>
internal sealed partial class TarballEndpoint(
    PackageLookup lookup,
    VersionLookup lookFor,
    AnswerMemory memory,
    CrossOriginPolicy crossOrigin,
    TarballDownloads downloads,
    PackageVisibility visibility,
    TarballUsage usage,
    TarballDescriptions descriptions,
    DocumentRepair repair,
    MirrorOptions options,
    TimeProvider time,
    ILogger<TarballEndpoint> logger)
{
    // Measured with 200 clients of one download: half of it made them a third slower, with twice of it others wait longer. 256 clients cost 32 MB.
    private const int PieceBytes = 128 * 1024;

    /// <summary>One that was begun before the request came, and one of its own.</summary>
    private const int LooksMax = 4;

    // Static: limits concurrent tarball writes to the number of processors.
    private static readonly SemaphoreSlim Turns = new(Environment.ProcessorCount);

    /// <summary>Answers <c>{m}/{pkg}/-/{file}</c>.</summary>
    internal async Task HandleAsync(HttpContext context, RequestKey request, PackageName package, string file)
    {
        // If the packument lacked the file and was compared with the upstream, the new one decides, also whether the file may be served.
        var askedAt = time.GetTimestamp();
        for (var looks = 0; !await TryHandleAsync(context, request, package, file, looks < LooksMax ? askedAt : null); looks++)
        {
        }
    }

    /// <summary>True when it answered; false when the packument is to be searched again. Without a moment of asking nothing more is looked for.</summary>
    private async Task<bool> TryHandleAsync(HttpContext context, RequestKey request, PackageName package, string file, long? askedAt)
    {
        var cancellationToken = context.RequestAborted;
        if (await repair.ReadAsync(package, () => visibility.FindTarballAsync(package, file, cancellationToken), cancellationToken) is { } hidden)
        {
            await RegistryErrors.WriteAsync(context, hidden.Status, hidden.Reason);
            return true;
        }

        if (await downloads.OpenStoredAsync(package, file, cancellationToken) is { } stored)
        {
            if (stored is { IsPromised: true, FilePath: { } path, LengthBytes: { } length })
            {
                Remember(request, package, file, stored, path, length);
            }

            await SendAsync(context, package, file, stored);
            return true;
        }

        var found = await lookup(package, cancellationToken);
        if (found is ReadAnswer.Absent absent)
        {
            await RegistryErrors.WriteAsync(context, absent.Status, absent.Reason);
            return true;
        }

        if (await repair.ReadAsync(package, () => new ValueTask<TarballDescription?>(descriptions.FindAsync(package, file, cancellationToken)), cancellationToken) is not { } tarball)
        {
            if (found is ReadAnswer.Found { Row: var searched } && askedAt is { } since && options.Tarballs != TarballMode.Never && await lookFor(searched, file, since, cancellationToken))
            {
                return false;
            }

            await RegistryErrors.WriteAsync(context, StatusCodes.Status404NotFound, $"No version of {package} has a tarball named {MirrorException.Quote(file)}.");
            return true;
        }

        if (HttpMethods.IsHead(context.Request.Method) && options is { Tarballs: not TarballMode.Never, Offline: false })
        {
            // The packument promises it: that answers the request without a fetch.
            TarballHeaders.Write(context.Response, tarball.Promise.Sha512, null);
            context.Response.Headers.CacheControl = "no-cache";
            return true;
        }

        switch (await downloads.OpenAsync(package, tarball.Version, tarball.Url, tarball.Promise, cancellationToken))
        {
            case TarballResult.Opened opened:
                await SendAsync(context, package, TarballUrls.FileName(package, tarball.Version.Version), opened.Reading);
                break;
            case TarballResult.Absent missing:
                await RegistryErrors.WriteAsync(context, missing.Status, missing.Reason);
                break;
        }

        return true;
    }

    private async Task SendAsync(HttpContext context, PackageName package, string file, TarballReading reading)
    {
        await using (reading)
        {
            var response = context.Response;
            TarballHeaders.Write(response, reading.Sha512, reading.StoredAt, reading.IsPromised);
            if (TarballHeaders.IsNotModified(context.Request, response))
            {
                response.StatusCode = StatusCodes.Status304NotModified;
                return;
            }

            // Only if the client has a hash to compare the bytes with: this mirror does not see them pass.
            if (reading.IsPromised && HttpMethods.IsGet(context.Request.Method) && await reading.FindAddressAsync(context.RequestAborted) is { } address)
            {
                usage.Record(package, file, ClientOf(context.Connection.RemoteIpAddress));
                TarballHeaders.Redirect(response, address);
                return;
            }

            if (reading.LengthBytes is null && HttpProtocol.IsHttp10(context.Request.Protocol))
            {
                // With HTTP/1.0 the end of the connection is the end of the body, so a broken-off answer would look whole: wait for the length.
                await reading.WaitForLengthAsync(context.RequestAborted);
            }

            var part = TarballRange.Choose(context.Request, response, reading.LengthBytes);
            part.Announce(response);
            if (HttpMethods.IsGet(context.Request.Method) && response.StatusCode != StatusCodes.Status416RangeNotSatisfiable)
            {
                usage.Record(package, file, ClientOf(context.Connection.RemoteIpAddress));
                await CopyAsync(context, $"{package}/{file}", reading, part);
            }
        }
    }

    private async Task CopyAsync(HttpContext context, string name, TarballReading reading, TarballRange part)
    {
        // Read into the memory that is sent: copied once less, and many readers of one download cost little more than its bytes.
        var body = PatientWriter.Of(context, time);
        try
        {
            var offset = part.From;
            while (part.End is null || offset < part.End)
            {
                var room = (int)Math.Min(PieceBytes, (part.End ?? long.MaxValue) - offset);
                var read = await reading.ReadAsync(offset, body.GetMemory(PieceBytes)[..room], context.RequestAborted);
                if (read == 0)
                {
                    break;
                }

                offset += read;
                if (offset == part.End && part.End < part.Whole)
                {
                    // A part is whole by its own length, and kept for a year: its last piece waits for the hash, as that of the whole does.
                    await reading.WaitForHashAsync(part.Whole.Value, context.RequestAborted);
                }

                body.Advance(read);
                if ((await FlushInTurnAsync(body, context.RequestAborted)).IsCompleted)
                {
                    return;
                }
            }

            if (part.End is { } end && offset < end)
            {
                throw new MirrorException(MirrorFault.StoreUnavailable, $"Tarball {name} ended after {offset} of {end} bytes.", isTransient: true);
            }
        }
        catch (MirrorException failure) when (context.Response.HasStarted)
        {
            // A clean end would make a wrong or short file look whole.
            LogBrokenOff(name, failure.Message);
            context.Abort();
        }
    }

    // Readers whose pieces are all ready wait here in turn, not for threads: other requests meanwhile wait for one piece, not for hundreds.
    private static async ValueTask<FlushResult> FlushInTurnAsync(PipeWriter body, CancellationToken cancellationToken)
    {
        await Turns.WaitAsync(cancellationToken);
        ValueTask<FlushResult> flush;
        try
        {
            // Yield, so that other requests run before the next reader of this download.
            await Task.Yield();
            flush = body.FlushAsync(cancellationToken);
        }
        finally
        {
            Turns.Release();
        }

        // Wait for a slow client without holding up the next.
        return await flush;
    }

    private void Remember(in RequestKey request, PackageName package, string file, TarballReading stored, string path, long length)
    {
        var sha512 = stored.Sha512;
        memory.Remember(request, new RememberedTarball(
            TarballHeaders.Lines(sha512, stored.StoredAt, crossOrigin),
            TarballHeaders.ETagOf(sha512),
            path,
            length,
            memory.SmallFiles,
            () => downloads.IsKnownToBeHeld(package, file, sha512) && visibility.IsTarballKnownToBeShown(package, file),
            client =>
            {
                downloads.CountStored();
                usage.Record(package, file, ClientOf((client as IPEndPoint)?.Address));
            },
            time));
    }

    private static string ClientOf(IPAddress? address) => address switch
    {
        null => "unknown",
        { IsIPv4MappedToIPv6: true } => address.MapToIPv4().ToString(),
        _ => address.ToString(),
    };

    [LoggerMessage(EventIds.AspNetCore + 50, LogLevel.Warning, "The answer with tarball {Tarball} was broken off: {Problem}")]
    private partial void LogBrokenOff(string tarball, string problem);
}
