using System.IO.Pipelines;
using Microsoft.AspNetCore.Http;
using NpmMirror.AspNetCore.Connections;
using NpmMirror.Renditions;

namespace NpmMirror.AspNetCore.Answers;

/// <summary>Writes renditions, and decides when the client has them already.</summary>
internal static class RenditionAnswer
{
    // One write copies all of it into the connection's pipe before the first await: five megabytes for each of many slow clients.
    private const int SliceBytes = 128 * 1024;
    private const int PieceBytes = 32 * 1024;

    /// <summary>True when the client's validators say that it holds this very representation.</summary>
    /// <remarks>
    /// <c>If-None-Match</c> wins; <c>If-Modified-Since</c> alone counts only as the date that was sent: it is upstream's, so "later"
    /// says nothing about this mirror's document.
    /// </remarks>
    internal static bool IsNotModified(IHeaderDictionary request, Rendition rendition)
    {
        var tags = request.IfNoneMatch;
        if (tags.Count > 0)
        {
            for (var i = 0; i < tags.Count; i++)
            {
                if (tags[i] is { } list && EntityTags.Names(list, rendition.ETag))
                {
                    return true;
                }
            }

            return false;
        }

        var since = request.IfModifiedSince;
        return since.Count == 1 && rendition.LastModified is { } modified && string.Equals(since[0], modified, StringComparison.Ordinal);
    }

    /// <summary>304, with everything a cache updates its entry with.</summary>
    internal static void WriteNotModified(HttpContext context, Rendition rendition)
    {
        context.Response.StatusCode = StatusCodes.Status304NotModified;
        WriteValidators(context.Response.Headers, rendition);
    }

    /// <summary>200 with the prepared bytes, in one write unless they are many.</summary>
    internal static Task WriteAsync(HttpContext context, Rendition rendition, byte[] body, bool isHead, TimeProvider time)
    {
        var response = context.Response;
        var headers = response.Headers;
        WriteValidators(headers, rendition);
        headers.ContentType = rendition.ContentType;
        headers.ContentLength = body.Length;
        if (rendition.ContentEncoding is { } coding)
        {
            headers.ContentEncoding = coding;
        }

        if (isHead)
        {
            return Task.CompletedTask;
        }

        if (body.Length > SliceBytes)
        {
            return WriteSlicesAsync(PatientWriter.Of(context, time), body);
        }

        // Without the request's token: reading it makes one, and a client that left ends the write by itself.
        var write = response.BodyWriter.WriteAsync(body);
        if (write.IsCompletedSuccessfully)
        {
            write.GetAwaiter().GetResult();
            return Task.CompletedTask;
        }

        return EndAsync(write.AsTask(), context, time);
    }

    private static async Task EndAsync(Task write, HttpContext context, TimeProvider time)
    {
        await StallLimit.Of(context, time).WaitAsync(write, context.Abort, CancellationToken.None);
        await write;
    }

    private static async Task WriteSlicesAsync(PipeWriter writer, byte[] body)
    {
        for (var at = 0; at < body.Length; at += SliceBytes)
        {
            var flushed = await writer.WriteAsync(body.AsMemory(at, Math.Min(SliceBytes, body.Length - at)));
            if (flushed.IsCompleted)
            {
                return;
            }
        }
    }

    /// <summary>200 with bytes from a file, which is closed.</summary>
    internal static async Task WriteAsync(HttpContext context, Rendition rendition, SpilledRendition spilled, TimeProvider time)
    {
        await using (spilled)
        {
            var headers = context.Response.Headers;
            WriteValidators(headers, rendition);
            headers.ContentType = rendition.ContentType;
            headers.ContentLength = spilled.LengthBytes;
            if (!HttpMethods.IsHead(context.Request.Method))
            {
                await CopyAsync(spilled, PatientWriter.Of(context, time), context.RequestAborted);
            }
        }
    }

    /// <summary>Copies a file's bytes, a piece at a time; stops when the client has left.</summary>
    internal static async Task CopyAsync(SpilledRendition spilled, PipeWriter output, CancellationToken cancellationToken)
    {
        var offset = 0L;
        while (offset < spilled.LengthBytes)
        {
            var read = await spilled.ReadAsync(offset, output.GetMemory(PieceBytes), cancellationToken);
            output.Advance(read);
            offset += read;
            if (read == 0 || (await output.FlushAsync(cancellationToken)).IsCompleted)
            {
                return;
            }
        }
    }

    private static void WriteValidators(IHeaderDictionary headers, Rendition rendition)
    {
        headers.ETag = rendition.ETag;
        headers.Vary = CommonHeaders.Vary;
        headers.CacheControl = CommonHeaders.PackumentCacheControl;
        if (rendition.LastModified is { } modified)
        {
            headers.LastModified = modified;
        }
    }
}
