using System.Globalization;
using Microsoft.AspNetCore.Http;
using NpmMirror.AspNetCore.Forwarding;
using NpmMirror.Options;
using NpmMirror.Searching;

namespace NpmMirror.AspNetCore.Searching;

/// <summary>Answers <c>{m}/-/v1/search</c>, as the option <c>search</c> says: from this mirror's index, from the upstream, or from both.</summary>
internal sealed class SearchEndpoint(IPackageSearch? search, Forwarder forwarder, UpstreamResults results, MirrorOptions options, TimeProvider time)
{
    private static readonly TimeSpan UpstreamTimeout = TimeSpan.FromSeconds(20);

    // The client has this mirror's results already while it waits.
    private static readonly TimeSpan BesideTimeout = TimeSpan.FromSeconds(3);

    internal Task HandleAsync(HttpContext context) => options.Search switch
    {
        SearchMode.Forward => ForwardAsync(context),
        SearchMode.Both when !options.Offline => BothAsync(context),
        _ => LocalAsync(context),
    };

    private async Task ForwardAsync(HttpContext context)
    {
        if (options.Offline)
        {
            throw new MirrorException(MirrorFault.UpstreamUnavailable, "This mirror is set to search=forward and to offline: searches go to the upstream, which is not asked; set search=local.");
        }

        using var answer = await AskAsync(context.Request.QueryString.Value ?? "", UpstreamTimeout, context.RequestAborted);
        await UpstreamAnswer.WriteAsync(context, answer.Status, answer.IsOk ? await results.ShownAsync(answer.Body, context.RequestAborted) : [answer.Body], time);
    }

    private async Task LocalAsync(HttpContext context)
    {
        var found = await FindAsync(Read(context.Request.Query), context.RequestAborted);
        await WriteAsync(context, found, [], 0);
    }

    private async Task BothAsync(HttpContext context)
    {
        var query = Read(context.Request.Query);
        var found = await FindAsync(query, context.RequestAborted);
        try
        {
            // The upstream's pages begin where this mirror's end.
            var from = Math.Max(query.From - found.Total, 0);
            using var answer = await AskAsync(QueryFor(query, from), BesideTimeout, context.RequestAborted);
            if (answer.IsOk)
            {
                var (others, total) = await results.OthersAsync(answer.Body, context.RequestAborted);
                await WriteAsync(context, found, [.. others.Take(query.Size - found.Hits.Count)], total);
                return;
            }
        }
        catch (MirrorException)
        {
            // What is held here is an answer without the upstream, too.
        }

        await WriteAsync(context, found, [], 0);
    }

    private ValueTask<SearchAnswer> FindAsync(SearchQuery query, CancellationToken cancellationToken) => search is null
        ? throw new MirrorException(MirrorFault.StoreUnavailable, "This mirror has no search index: add one with UseSqliteSearch() of NpmMirror.Search, or set search=forward.")
        : search.FindAsync(query, cancellationToken);

    private Task<UpstreamAnswer> AskAsync(string query, TimeSpan timeout, CancellationToken cancellationToken) =>
        forwarder.AskAsync(ForwardedService.Search, HttpMethod.Get, "/-/v1/search" + query, null, timeout, cancellationToken);

    private Task WriteAsync(HttpContext context, SearchAnswer found, IReadOnlyList<ReadOnlyMemory<byte>> others, long othersTotal) =>
        UpstreamAnswer.WriteAsync(context, StatusCodes.Status200OK, [SearchBody.Write(found, others, othersTotal, time.GetUtcNow())], time);

    private static SearchQuery Read(IQueryCollection query)
    {
        var usual = SearchWeights.Usual;
        return new SearchQuery
        {
            Text = query["text"].ToString(),
            Size = (int)Math.Min(Number(query, "size", SearchQuery.SizeUsual), SearchQuery.SizeMax),
            From = (int)Math.Min(Number(query, "from", 0), int.MaxValue / 2),
            Weights = new SearchWeights(Weight(query, "quality", usual.Quality), Weight(query, "popularity", usual.Popularity), Weight(query, "maintenance", usual.Maintenance)),
        };
    }

    private static long Number(IQueryCollection query, string name, long usual) => query[name].ToString() is not { Length: > 0 } text ? usual
        : long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number
        : throw new MirrorException(MirrorFault.BadInput, $"{name} is {MirrorException.Quote(text)}; give a number, from 0 on.");

    private static double Weight(IQueryCollection query, string name, double usual) =>
        double.TryParse(query[name].ToString(), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var weight) && weight is >= 0 and <= 100 ? weight : usual;

    private static string QueryFor(SearchQuery query, long from) => string.Create(
        CultureInfo.InvariantCulture,
        $"?text={Uri.EscapeDataString(query.Text)}&size={query.Size}&from={from}&quality={query.Weights.Quality}&popularity={query.Weights.Popularity}&maintenance={query.Weights.Maintenance}");
}
