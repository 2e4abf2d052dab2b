using System.Runtime.CompilerServices;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using NpmMirror.AspNetCore.Answers;
using NpmMirror.Storage;
using NpmMirror.Visibility;

namespace NpmMirror.AspNetCore.Feeds;

/// <summary>
/// Answers <c>{m}/_changes</c>: this mirror's own feed, one row a package at its newest position, so that mirrors follow mirrors and
/// followers of CouchDB need not know the difference.
/// </summary>
internal sealed class ChangesEndpoint(IPackageTable packages, ILogTable log, VisibilityRules visibility, LogWait wait, ServedDocuments documents, AskedBody asked, TimeProvider time)
{
    private static readonly TimeSpan HoldMax = TimeSpan.FromHours(24);
    private static readonly TimeSpan SignEvery = TimeSpan.FromSeconds(1);
    private static readonly byte[] Heartbeat = "\n"u8.ToArray();

    internal async Task HandleAsync(HttpContext context, string baseUrl)
    {
        if ((HttpMethods.IsPost(context.Request.Method) ? await asked.ReadAsync(context, body => Read(context.Request, body)) : Read(context.Request, null)) is not { } query)
        {
            return;
        }

        // The request may wait for hours.
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
        query.Since is null ? query with { Since = (await log.ReadHeadAsync(cancellationToken)).Position.Value } : query;

    /// <summary>Writes the whole body. A <paramref name="baseUrl"/> is needed only with documents.</summary>
    internal async Task AnswerAsync(ChangesQuery query, string baseUrl, FeedBody body, CancellationToken cancellationToken)
    {
        var reading = new Reading(query, baseUrl, body, new LogPosition(query.Since ?? 0), time.GetTimestamp());
        await (query.Feed == ChangesFeed.Continuous ? ContinuousAsync(reading, cancellationToken) : PageAsync(reading, cancellationToken));
    }

    private static ChangesQuery Read(HttpRequest request, JsonElement? body) =>
        ChangesQuery.Parse(request.Query, request.Headers["Last-Event-ID"], body, out var fault) ?? throw AskedBody.Refused(fault);

    private async Task PageAsync(Reading reading, CancellationToken cancellationToken)
    {
        reading.Body.Text("{\"results\":[\n"u8);
        await ReadRowsAsync(reading, cancellationToken);
        var begun = time.GetTimestamp();
        while (reading.Query.Feed == ChangesFeed.Longpoll && reading.Rows == 0 && !reading.Query.IsDescending && !reading.IsAnothers && await WaitAsync(reading, begun, cancellationToken))
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
        while (!reading.IsFull && !reading.IsAnothers && await WaitAsync(reading, reading.WroteAt, cancellationToken));

        reading.Body.Text("{\"last_seq\":"u8);
        reading.Body.Number(reading.Position.Value);
        reading.Body.Text("}\n"u8);
        await reading.Body.FlushAsync(isUrgent: true);
    }

    private async Task ReadRowsAsync(Reading reading, CancellationToken cancellationToken)
    {
        // Read before the rows: each change up to here is among them, or was superseded by one that is.
        var head = reading.Query.IsDescending ? reading.Position : (await log.ReadHeadAsync(cancellationToken)).Position;
        if (head < reading.Position)
        {
            // Another mirror's position, or this one was restored from a backup. A follower would wait until the log has grown past it and never
            // know the missed changes; followers take an end before their position for a reset.
            (reading.IsAnothers, reading.Position) = (true, head);
            return;
        }

        var from = reading.Query.IsDescending && reading.Query.Since is 0 ? new LogPosition(long.MaxValue) : reading.Position;
        await foreach (var stored in ListAsync(reading.Query, from, head, cancellationToken))
        {
            var row = visibility.AsShown(stored);
            if (reading.Query.Filter?.Matches(row) == false)
            {
                reading.Position = reading.Query.IsDescending ? reading.Position : row.LastPosition;
                continue;
            }

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

    /// <summary>The rows after a position; a few named documents are looked up instead, if a walk over all rows since would be longer.</summary>
    private IAsyncEnumerable<PackageRow> ListAsync(ChangesQuery query, LogPosition from, LogPosition head, CancellationToken cancellationToken) =>
        query is { IsDescending: false, Filter.Ids: { } ids } && head.Value - from.Value > ids.Count
            ? FindAsync(ids, from, head, cancellationToken)
            : packages.ListChangesAsync(from, query.IsDescending, cancellationToken);

    private async IAsyncEnumerable<PackageRow> FindAsync(IReadOnlyCollection<string> ids, LogPosition from, LogPosition head, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var found = new List<(LogPosition At, PackageName Name)>();
        foreach (var id in ids)
        {
            if (PackageName.TryParse(id, out var name) && await packages.FindAsync(name, cancellationToken) is { } row && row.LastPosition > from && row.LastPosition <= head)
            {
                found.Add((row.LastPosition, row.Name));
            }
        }

        foreach (var (at, name) in found.OrderBy(one => one.At))
        {
            // A change meanwhile lies after the head, and comes with the next request.
            if (await packages.FindAsync(name, cancellationToken) is { } row && row.LastPosition == at)
            {
                yield return row;
            }
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
        reading.WroteAt = reading.SaidAt = time.GetTimestamp();
    }

    /// <summary>Waits for the log to grow, for the rest of the time since <paramref name="begun"/>.</summary>
    private async Task<bool> WaitAsync(Reading reading, long begun, CancellationToken cancellationToken)
    {
        // The new rows were not for this follower, perhaps again and again: each wait counts the time to its first sign of life anew.
        if (reading.HasWaited && time.GetElapsedTime(reading.SaidAt) >= (reading.Query.Heartbeat < SignEvery ? reading.Query.Heartbeat : SignEvery))
        {
            reading.Body.Text(Heartbeat);
            reading.SaidAt = time.GetTimestamp();
        }

        reading.HasWaited = true;
        return await wait.ForMoreAsync(reading.Body, reading.Position, (reading.Query.Timeout ?? HoldMax) - time.GetElapsedTime(begun), reading.Query.Heartbeat, Heartbeat, cancellationToken);
    }

    private sealed class Reading(ChangesQuery query, string baseUrl, FeedBody body, LogPosition since, long begun)
    {
        internal ChangesQuery Query { get; } = query;

        internal string BaseUrl { get; } = baseUrl;

        internal FeedBody Body { get; } = body;

        internal LogPosition Position { get; set; } = since;

        internal long Rows { get; set; }

        /// <summary>When the last row was written, or the answer begun.</summary>
        internal long WroteAt { get; set; } = begun;

        /// <summary>When the last row or sign of life was given, but for those that are given within a wait.</summary>
        internal long SaidAt { get; set; } = begun;

        internal bool HasWaited { get; set; }

        internal bool IsFull => Rows >= Query.Limit;

        /// <summary>Whether the requested position lies after the end of the log, so that it belongs to another log.</summary>
        internal bool IsAnothers { get; set; }
    }
}
