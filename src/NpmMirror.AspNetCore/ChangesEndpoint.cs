using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using NpmMirror.Storage;

namespace NpmMirror.AspNetCore;

/// <summary>
/// Answers <c>{m}/_changes</c>: this mirror's own feed, one row a package at its newest position, so that mirrors follow mirrors and
/// followers of CouchDB need not know the difference.
/// </summary>
internal sealed class ChangesEndpoint(IMetadataStore store, LogWait wait, ServedDocuments documents, TimeProvider time)
{
    private static readonly TimeSpan HoldMax = TimeSpan.FromHours(24);
    private static readonly byte[] Heartbeat = "\n"u8.ToArray();

    internal async Task HandleAsync(HttpContext context, string baseUrl)
    {
        if (ChangesQuery.Parse(context.Request.Query, context.Request.Headers["Last-Event-ID"], out var fault) is not { } query)
        {
            await RegistryErrors.WriteAsync(context, StatusCodes.Status400BadRequest, fault);
            return;
        }

        // It may wait for hours.
        context.Features.Set<IQueryFeature>(null);
        if (HttpMethods.IsHead(context.Request.Method))
        {
            context.Response.Headers.ContentType = "application/json";
            return;
        }

        using var body = FeedBody.Of(context, "application/json", time);
        await AnswerAsync(await PlaceAsync(query, context.RequestAborted), baseUrl, body, context.RequestAborted);
    }

    /// <summary>The query with <c>now</c> put in numbers.</summary>
    internal async ValueTask<ChangesQuery> PlaceAsync(ChangesQuery query, CancellationToken cancellationToken) =>
        query.Since is null ? query with { Since = (await store.ReadHeadAsync(cancellationToken)).Position.Value } : query;

    /// <summary>Writes the whole body. A <paramref name="baseUrl"/> is needed only with documents.</summary>
    internal async Task AnswerAsync(ChangesQuery query, string baseUrl, FeedBody body, CancellationToken cancellationToken)
    {
        var reading = new Reading(query, baseUrl, body, new LogPosition(query.Since ?? 0));
        await (query.Feed == ChangesFeed.Continuous ? ContinuousAsync(reading, cancellationToken) : PageAsync(reading, cancellationToken));
    }

    private async Task PageAsync(Reading reading, CancellationToken cancellationToken)
    {
        reading.Body.Text("{\"results\":[\n"u8);
        await ReadRowsAsync(reading, cancellationToken);
        if (reading.Query.Feed == ChangesFeed.Longpoll && reading.Rows == 0 && !reading.Query.IsDescending && !reading.IsAnothers && await WaitAsync(reading, cancellationToken))
        {
            await ReadRowsAsync(reading, cancellationToken);
        }

        reading.Body.Text("\n],\n\"last_seq\":"u8);
        reading.Body.Number(reading.Position.Value);
        reading.Body.Text("}\n"u8);
        await reading.Body.FlushAsync(isUrgent: true);
    }

    private async Task ContinuousAsync(Reading reading, CancellationToken cancellationToken)
    {
        do
        {
            await ReadRowsAsync(reading, cancellationToken);
        }
        while (!reading.IsFull && !reading.IsAnothers && await WaitAsync(reading, cancellationToken));

        reading.Body.Text("{\"last_seq\":"u8);
        reading.Body.Number(reading.Position.Value);
        reading.Body.Text("}\n"u8);
        await reading.Body.FlushAsync(isUrgent: true);
    }

    private async Task ReadRowsAsync(Reading reading, CancellationToken cancellationToken)
    {
        // Read before the rows: whatever is up to here is among them, or was superseded by one that is.
        var head = reading.Query.IsDescending ? reading.Position : (await store.ReadHeadAsync(cancellationToken)).Position;
        if (head < reading.Position)
        {
            // Another mirror's position, or this one was restored from a backup. Whoever waited would wait until the log has grown past it and never
            // know what is missing; an end that lies before where it stands is what followers take for a reset.
            (reading.IsAnothers, reading.Position) = (true, head);
            return;
        }

        var from = reading.Query.IsDescending && reading.Query.Since is 0 ? new LogPosition(long.MaxValue) : reading.Position;
        await foreach (var row in store.ListChangesAsync(from, reading.Query.IsDescending, cancellationToken))
        {
            await WriteRowAsync(reading, row, cancellationToken);
            if (reading.IsFull || !await reading.Body.FlushAsync(isUrgent: false))
            {
                return;
            }
        }

        if (head > reading.Position)
        {
            reading.Position = head;
        }
    }

    private async ValueTask WriteRowAsync(Reading reading, PackageRow row, CancellationToken cancellationToken)
    {
        var isLines = reading.Query.Feed == ChangesFeed.Continuous;
        if (!isLines && reading.Rows > 0)
        {
            reading.Body.Text(",\n"u8);
        }

        reading.Body.BeginChange(row);
        if (reading.Query.IncludesDocs)
        {
            await documents.WriteAsync(reading.Body, row, reading.BaseUrl, cancellationToken);
        }

        reading.Body.End();
        if (isLines)
        {
            reading.Body.Text("\n"u8);
        }

        reading.Position = row.LastPosition;
        reading.Rows++;
    }

    private Task<bool> WaitAsync(Reading reading, CancellationToken cancellationToken) =>
        wait.ForMoreAsync(reading.Body, reading.Position, reading.Query.Timeout ?? HoldMax, reading.Query.Heartbeat, Heartbeat, cancellationToken);

    private sealed class Reading(ChangesQuery query, string baseUrl, FeedBody body, LogPosition since)
    {
        internal ChangesQuery Query { get; } = query;

        internal string BaseUrl { get; } = baseUrl;

        internal FeedBody Body { get; } = body;

        internal LogPosition Position { get; set; } = since;

        internal long Rows { get; set; }

        internal bool IsFull => Rows >= Query.Limit;

        /// <summary>Whether the position that was asked for lies behind the log's end, and so is none of this log's.</summary>
        internal bool IsAnothers { get; set; }
    }
}
