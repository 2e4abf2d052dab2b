using System.Globalization;
using Microsoft.AspNetCore.Http;
using NpmMirror.AspNetCore.Answers;
using NpmMirror.Log;
using NpmMirror.Storage;
using NpmMirror.Visibility;

namespace NpmMirror.AspNetCore.Feeds;

/// <summary>
/// Answers <c>{m}/-/events</c>: the rows of the log as server-sent events, those that are there and those to come. Each reader gets the
/// log's rows at its own pace, and nothing is kept for it meanwhile.
/// </summary>
internal sealed class EventsEndpoint(ILogTable rows, PackageVisibility visibility, RegistryLog log, LogWait wait, TimeProvider time)
{
    private static readonly byte[] Comment = ": waiting\n\n"u8.ToArray();
    private static readonly TimeSpan DefaultHeartbeat = TimeSpan.FromSeconds(30);

    // Every client reconnects now and then: neither a proxy nor an operator could end a connection that lives for ever.
    private static readonly TimeSpan HoldMax = TimeSpan.FromHours(24);

    internal async Task HandleAsync(HttpContext context)
    {
        var head = (await rows.ReadHeadAsync(context.RequestAborted)).Position;
        if (Position(context.Request, head) is not { } position || Heartbeat(context.Request.Query["heartbeat"].ToString()) is not { } heartbeat)
        {
            await RegistryErrors.WriteAsync(context, StatusCodes.Status400BadRequest, "since and Last-Event-ID must be a position that this mirror gave (or since=now), heartbeat a number of milliseconds.");
            return;
        }

        if (EventsFilter.Of(context.Request) is not { } filter)
        {
            await RegistryErrors.WriteAsync(context, StatusCodes.Status400BadRequest, $"type must be kinds of events with commas between: {string.Join(", ", EventsFilter.Types)}.");
            return;
        }

        if (position > head)
        {
            await RegistryErrors.WriteAsync(context, StatusCodes.Status400BadRequest, $"This mirror's log ends at {head}, and {position} lies after that: it is another mirror's position, or this one was restored from a backup; begin anew.");
            return;
        }

        using var body = FeedBody.Of(context, "text/event-stream", time);
        // A proxy in between would hold events back until it has enough of them.
        context.Response.Headers["X-Accel-Buffering"] = "no";
        if (!HttpMethods.IsHead(context.Request.Method))
        {
            await WriteAsync(body, position, filter, heartbeat, context.RequestAborted);
        }
    }

    private async Task WriteAsync(FeedBody body, LogPosition position, EventsFilter filter, TimeSpan heartbeat, CancellationToken cancellationToken)
    {
        // An id without data is no event: it only tells a reader that is cut off before the first one where to go on.
        body.Text("id: "u8);
        body.Number(position.Value);
        body.Text("\n\n"u8);
        do
        {
            await foreach (var row in log.ReadAsync(position, cancellationToken))
            {
                if (filter.Takes(row))
                {
                    body.Event(row, await IsQuotedAsync(row, cancellationToken));
                }

                position = row.Position;
                if (!await body.FlushAsync(isUrgent: false))
                {
                    return;
                }
            }
        }
        while (await wait.ForMoreAsync(body, position, HoldMax, heartbeat, Comment, cancellationToken));
    }

    /// <summary>False for a package that was blocked for legal reasons: the block is told, without the content. For a damaged package the answer is not known.</summary>
    private async ValueTask<bool> IsQuotedAsync(LogRow row, CancellationToken cancellationToken)
    {
        try
        {
            return row.Type == EventTypes.PackageRemoved || await visibility.FindPastAsync(row.Package, cancellationToken) is null;
        }
        catch (MirrorException damage) when (damage.Fault == MirrorFault.StoreDamaged)
        {
            return false;
        }
    }

    /// <summary>Where to begin. A reader that comes back says so in its header, and repeats its first address.</summary>
    private static LogPosition? Position(HttpRequest request, LogPosition head)
    {
        var text = request.Headers["Last-Event-ID"].ToString() is { Length: > 0 } last ? last : request.Query["since"].ToString();
        return text is "" or "now" ? head
            : long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var position) ? new LogPosition(position)
            : null;
    }

    private static TimeSpan? Heartbeat(string text) => text.Length == 0 ? DefaultHeartbeat
        : long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var milliseconds) ? TimeSpan.FromMilliseconds(Math.Clamp(milliseconds, 100, 3_600_000))
        : null;
}
