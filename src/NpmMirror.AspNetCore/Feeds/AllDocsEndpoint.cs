using System.Runtime.CompilerServices;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using NpmMirror.AspNetCore.Answers;
using NpmMirror.Storage;
using NpmMirror.Visibility;

namespace NpmMirror.AspNetCore.Feeds;

/// <summary>Answers <c>{m}/_all_docs</c>: the ids and revisions of the packages that this mirror holds, or has in its graveyard, in the order of their UTF-8 bytes.</summary>
internal sealed class AllDocsEndpoint(IMetadataStore store, PackageVisibility visibility, ServedDocuments documents, AskedBody asked, TimeProvider time)
{
    internal async Task HandleAsync(HttpContext context, string baseUrl)
    {
        if ((HttpMethods.IsPost(context.Request.Method) ? await asked.ReadAsync(context, body => Read(context.Request, body)) : Read(context.Request, null)) is not { } query)
        {
            return;
        }

        var cancellationToken = context.RequestAborted;
        var counts = await store.CountAsync(cancellationToken);
        using var body = FeedBody.Of(context, "application/json", time);
        body.Text("{\"total_rows\":"u8);
        body.Number(await visibility.CountAsync(counts, query.IsRemoved, cancellationToken));
        body.Text(",\"offset\":0"u8);
        if (query.TellsSequence)
        {
            body.Text(",\"update_seq\":"u8);
            body.Number((await store.Log.ReadHeadAsync(cancellationToken)).Position.Value);
        }

        body.Text(",\"rows\":[\n"u8);
        var isFirst = true;
        await foreach (var (key, mark) in SelectAsync(query, cancellationToken))
        {
            if (!isFirst)
            {
                body.Text(",\n"u8);
            }

            isFirst = false;
            await WriteAsync(body, key, mark, query, baseUrl, cancellationToken);
            if (!await body.FlushAsync(isUrgent: false))
            {
                return;
            }
        }

        body.Text("\n]}\n"u8);
        await body.FlushAsync(isUrgent: true);
    }

    private static AllDocsQuery Read(HttpRequest request, JsonElement? body) => AllDocsQuery.Parse(request.Query, body, out var fault) ?? throw AskedBody.Refused(fault);

    private async ValueTask WriteAsync(FeedBody body, string key, PackageMark? mark, AllDocsQuery query, string baseUrl, CancellationToken cancellationToken)
    {
        if (mark is not { } held)
        {
            body.Missing(key);
            return;
        }

        if (held.Rev is { } rev && !query.IncludesDocs)
        {
            body.BeginDocument(held.Name, rev, query.IsRemoved);
            body.End();
            return;
        }

        // Our value is made of the whole row; a package that was removed since it was listed is told as it was.
        if (await FindRowAsync(held.Name, cancellationToken) is not { } row || (query.IsRemoved && !row.Facts.IsRemoved))
        {
            body.Missing(key);
            return;
        }

        body.BeginDocument(held.Name, ServedRevision.Of(row), query.IsRemoved);
        if (query.IncludesDocs)
        {
            await documents.WriteAsync(body, row, baseUrl, cancellationToken);
        }

        body.End();
    }

    private IAsyncEnumerable<(string Key, PackageMark? Mark)> SelectAsync(AllDocsQuery query, CancellationToken cancellationToken) =>
        query.Keys is { } keys ? FindAsync((query.IsDescending ? keys.Reverse() : keys).Skip(Number(query.Skip)).Take(Number(query.Limit)), cancellationToken)
        : query.IsDescending ? BackwardsAsync(query, cancellationToken)
        : ForwardsAsync(query, cancellationToken);

    private async IAsyncEnumerable<(string Key, PackageMark? Mark)> FindAsync(IEnumerable<string> keys, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (var key in keys)
        {
            yield return (key, PackageName.TryParse(key, out var name) ? await FindAsync(name, cancellationToken) : null);
        }
    }

    private static int Number(long count) => (int)Math.Min(count, int.MaxValue);

    private async ValueTask<PackageMark?> FindAsync(PackageName name, CancellationToken cancellationToken) =>
        await FindRowAsync(name, cancellationToken) is { Facts: { IsRemoved: false } facts } ? new PackageMark(name, facts.Rev, facts.Upstream) : null;

    private async ValueTask<PackageRow?> FindRowAsync(PackageName name, CancellationToken cancellationToken) =>
        await store.Packages.FindAsync(name, cancellationToken) is { } row ? visibility.Rules.AsShown(row) : null;

    private async IAsyncEnumerable<(string Key, PackageMark? Mark)> ForwardsAsync(AllDocsQuery query, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        long seen = 0;
        if (query.Limit <= 0)
        {
            yield break;
        }

        await foreach (var mark in RangeAsync(query, cancellationToken))
        {
            seen++;
            if (seen > query.Skip)
            {
                yield return (mark.Name.Value, mark);
                if (seen - query.Skip >= query.Limit)
                {
                    // Do not read one more: it may be the first of another page of the store.
                    yield break;
                }
            }
        }
    }

    /// <summary>The end of the range, turned round. Stores list forwards only, and few ask for this: a full pass is the price.</summary>
    private async IAsyncEnumerable<(string Key, PackageMark? Mark)> BackwardsAsync(AllDocsQuery query, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var last = new Queue<PackageMark>();
        await foreach (var mark in RangeAsync(query, cancellationToken))
        {
            last.Enqueue(mark);
            if (last.Count > query.Skip + query.Limit)
            {
                last.Dequeue();
            }
        }

        var marks = last.ToArray();
        for (var i = marks.Length - 1 - query.Skip; i >= 0; i--)
        {
            yield return (marks[i].Name.Value, marks[i]);
        }
    }

    private async IAsyncEnumerable<PackageMark> RangeAsync(AllDocsQuery query, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var mark in visibility.ListMarksAsync(query.Low ?? "", query.IsRemoved, cancellationToken))
        {
            if (!query.IsLowIncluded && mark.Name.Value == query.Low)
            {
                continue;
            }

            if (query.High is { } high && Utf8Order.Instance.Compare(mark.Name.Value, high) is var above && (above > 0 || (above == 0 && !query.IsHighIncluded)))
            {
                yield break;
            }

            yield return mark;
        }
    }
}
