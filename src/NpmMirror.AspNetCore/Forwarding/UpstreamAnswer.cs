using Microsoft.AspNetCore.Http;
using NpmMirror.AspNetCore.Answers;
using NpmMirror.AspNetCore.Connections;

namespace NpmMirror.AspNetCore.Forwarding;

/// <summary>An upstream's answer to a forwarded request that may be passed on: JSON, held in memory until it is disposed.</summary>
internal sealed class UpstreamAnswer(int status, ReadOnlyMemory<byte> body, IDisposable? held) : IDisposable
{
    // One write copies all of it into the connection's pipe before anything is awaited.
    private const int SliceBytes = 64 * 1024;

    /// <summary>The status code: 2xx, or a 4xx that says something about the request.</summary>
    internal int Status => status;

    /// <summary>The JSON, as sent.</summary>
    internal ReadOnlyMemory<byte> Body => body;

    internal bool IsOk => Status == StatusCodes.Status200OK;

    /// <inheritdoc/>
    public void Dispose() => held?.Dispose();

    /// <summary>Passes it on, all of it.</summary>
    internal Task WriteAsync(HttpContext context, TimeProvider time) => WriteAsync(context, Status, [Body], time);

    /// <summary>Answers with pieces of JSON. A client that takes nothing is cut off, because its answer is held in memory.</summary>
    internal static async Task WriteAsync(HttpContext context, int status, IReadOnlyList<ReadOnlyMemory<byte>> pieces, TimeProvider time)
    {
        RegistryErrors.BeginJson(context.Response, status, pieces.Sum(piece => piece.Length));
        if (HttpMethods.IsHead(context.Request.Method))
        {
            return;
        }

        var writer = PatientWriter.Of(context, time);
        foreach (var piece in pieces)
        {
            for (var at = 0; at < piece.Length; at += SliceBytes)
            {
                var slice = piece.Slice(at, Math.Min(SliceBytes, piece.Length - at));
                if ((await writer.WriteAsync(slice, context.RequestAborted)).IsCompleted)
                {
                    return;
                }
            }
        }
    }
}
