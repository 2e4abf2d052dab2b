using System.Runtime.CompilerServices;
using System.Text;
using Microsoft.AspNetCore.Http;
using NpmMirror.Storage;

namespace NpmMirror.AspNetCore;

/// <summary>Answers <c>{m}/_all_docs</c>: the ids and revisions of what this mirror holds, in the order of their UTF-8 bytes.</summary>
internal sealed class AllDocsEndpoint(IMetadataStore store, ServedDocuments documents)
{
    internal async Task HandleAsync(HttpContext context, string baseUrl)
    {
        if (AllDocsQuery.Parse(context.Request.Query, out var fault) is not { } query)
        {
            await RegistryErrors.WriteAsync(context, StatusCodes.Status400BadRequest, fault);
            return;
        }

        var cancellationToken = context.RequestAborted;
        var total = (await store.CountAsync(cancellationToken)).Packages;
        using var body = new FeedBody(context);
        body.Text("{\"total_rows\":"u8);
        body.Number(total);
        body.Text(",\"offset\":0,\"rows\":[\n"u8);
        var isFirst = true;
        await foreach (var (key, row) in SelectAsync(query, cancellationToken))
        {
            if (!isFirst)
            {
                body.Text(",\n"u8);
            }

            isFirst = false;
            if (row is null)
            {
                body.Missing(key);
            }
            else
            {
                body.BeginDocument(row);
                if (query.IncludesDocs)
                {
                    await documents.WriteAsync(body, row, baseUrl, cancellationToken);
                }

                body.End();
            }

            if (!await body.FlushAsync(isUrgent: false))
            {
                return;
            }
        }

        body.Text("\n]}\n"u8);
        await body.FlushAsync(isUrgent: true);
    }

    private IAsyncEnumerable<(string Key, PackageRow? Row)> SelectAsync(AllDocsQuery query, CancellationToken cancellationToken) =>
        query.Keys is not null ? FindAsync(query.Keys, cancellationToken)
        : query.IsDescending ? BackwardsAsync(query, cancellationToken)
        : ForwardsAsync(query, cancellationToken);

    private async IAsyncEnumerable<(string Key, PackageRow? Row)> FindAsync(IReadOnlyList<string> keys, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (var key in keys)
        {
            var row = PackageName.TryParse(key, out var name) ? await store.FindAsync(name, cancellationToken) : null;
            yield return (key, row is { Facts.IsRemoved: false } ? row : null);
        }
    }

    private async IAsyncEnumerable<(string Key, PackageRow? Row)> ForwardsAsync(AllDocsQuery query, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        long seen = 0;
        await foreach (var row in RangeAsync(query, cancellationToken))
        {
            seen++;
            if (seen > query.Skip)
            {
                if (seen - query.Skip > query.Limit)
                {
                    yield break;
                }

                yield return (row.Name.Value, row);
            }
        }
    }

    /// <summary>The end of the range, turned round. Stores list forwards only, and few ask for this: a full pass is the price.</summary>
    private async IAsyncEnumerable<(string Key, PackageRow? Row)> BackwardsAsync(AllDocsQuery query, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var last = new Queue<PackageRow>();
        await foreach (var row in RangeAsync(query, cancellationToken))
        {
            last.Enqueue(row);
            if (last.Count > query.Skip + query.Limit)
            {
                last.Dequeue();
            }
        }

        var rows = last.ToArray();
        for (var i = rows.Length - 1 - query.Skip; i >= 0; i--)
        {
            yield return (rows[i].Name.Value, rows[i]);
        }
    }

    private async IAsyncEnumerable<PackageRow> RangeAsync(AllDocsQuery query, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var row in FromAsync(query.Low, cancellationToken))
        {
            if (query.Low is { } low && Compare(row.Name.Value, low) is var below && (below < 0 || (below == 0 && !query.IsLowIncluded)))
            {
                continue;
            }

            if (query.High is { } high && Compare(row.Name.Value, high) is var above && (above > 0 || (above == 0 && !query.IsHighIncluded)))
            {
                yield break;
            }

            yield return row;
        }
    }

    /// <summary>Rows from <paramref name="low"/> on, itself included; some before it where it is no name.</summary>
    private async IAsyncEnumerable<PackageRow> FromAsync(string? low, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // The list goes on behind a name. Behind "low!" lies all that follows but these two: no character sorts before "!".
        if (low is not null && PackageName.TryParse(low + "!", out var after))
        {
            if (PackageName.TryParse(low, out var exact) && await store.FindAsync(exact, cancellationToken) is { Facts.IsRemoved: false } first)
            {
                yield return first;
            }

            if (await store.FindAsync(after, cancellationToken) is { Facts.IsRemoved: false } second)
            {
                yield return second;
            }

            await foreach (var row in store.ListAsync(after, isRemoved: false, cancellationToken))
            {
                yield return row;
            }

            yield break;
        }

        await foreach (var row in store.ListAsync(LongestNameIn(low), isRemoved: false, cancellationToken))
        {
            yield return row;
        }
    }

    /// <summary>The longest beginning of a key that is a name and lies before it, so that a list can start there.</summary>
    private static PackageName? LongestNameIn(string? key)
    {
        for (var length = (key?.Length ?? 0) - 1; length > 0; length--)
        {
            if (PackageName.TryParse(key![..length], out var name))
            {
                return name;
            }
        }

        return null;
    }

    private static int Compare(string left, string right) => Encoding.UTF8.GetBytes(left).AsSpan().SequenceCompareTo(Encoding.UTF8.GetBytes(right));
}
