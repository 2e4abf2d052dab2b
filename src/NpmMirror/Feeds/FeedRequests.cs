using System.Globalization;
using System.IO.Pipelines;
using System.Text.Json;
using NpmMirror.Upstream;

namespace NpmMirror.Feeds;

/// <summary>The requests that all dialects of a feed have in common: addresses below the feed's, the info document and the list of everything.</summary>
internal sealed class FeedRequests(RegistryClient client, Uri location, FeedOptions? options = null)
{
    private const int InfoMaxBytes = 1024 * 1024;

    // A page is read row by row and held nowhere: this only ends an answer without an end.
    private const long PageMaxBytes = 64L * 1024 * 1024 * 1024;

    private readonly FeedOptions _options = options ?? new FeedOptions();

    // A list is not given up because of one answer: a gateway's 404 would confirm that packages are gone.
    private volatile bool _hasListed;

    /// <summary>The feed's address, without user, query and trailing slash.</summary>
    internal string Location { get; } = UpstreamFailures.Where(location).TrimEnd('/');

    internal TimeProvider TimeProvider => client.Transport.TimeProvider;

    /// <summary>The feed's address from what an operator writes: with or without <c>/_changes</c>, a query or a trailing slash.</summary>
    internal static Uri Normalize(Uri feed)
    {
        var path = feed.GetLeftPart(UriPartial.Path).TrimEnd('/');
        return new Uri(path.EndsWith("/_changes", StringComparison.Ordinal) ? path[..^"/_changes".Length] : path);
    }

    /// <summary>Opens the rows after a sequence.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.BadInput"/>: the feed does not know the sequence.</exception>
    internal Task<FeedAnswer> OpenChangesAsync(Sequence since, string more, TimeSpan idleTimeout, bool isEndless, CancellationToken cancellationToken) =>
        OpenAsync($"/_changes?since={Uri.EscapeDataString(since.Text)}{more}", idleTimeout, isEndless, cancellationToken, since);

    /// <summary>Opens an answer of the feed.</summary>
    /// <param name="pathAndQuery">Below the feed's address.</param>
    /// <param name="idleTimeout">How long to wait for headers and for each piece.</param>
    /// <param name="isEndless">True for answers that wait for changes: no limit, no lowest rate.</param>
    /// <param name="cancellationToken">Ends the request.</param>
    /// <param name="since">The sequence that a 400 is about.</param>
    /// <exception cref="MirrorException">Anything but 200.</exception>
    internal async Task<FeedAnswer> OpenAsync(string pathAndQuery, TimeSpan idleTimeout, bool isEndless, CancellationToken cancellationToken, Sequence? since = null)
    {
        // A coding would hold rows back in the decoder's window until it is flushed.
        var request = new UpstreamRequest(HttpMethod.Get, new Uri(Location + pathAndQuery)) { Kind = "feed", Accept = "application/json", IsCompressed = !isEndless, IsDerived = _options.IsDerived, HeadersTimeout = idleTimeout };
        return await UpstreamEdge.RunAsync(request.Url, () => OpenAsync(request, idleTimeout, isEndless, since, cancellationToken), cancellationToken);
    }

    /// <summary>Reads a short JSON document of the feed.</summary>
    /// <param name="pathAndQuery">Below the feed's address.</param>
    /// <param name="read">Takes the wanted values out of it; it may throw as <see cref="JsonElement"/> does over a stranger's text.</param>
    /// <param name="cancellationToken">Ends the request.</param>
    internal async Task<T> GetJsonAsync<T>(string pathAndQuery, Func<JsonElement, T> read, CancellationToken cancellationToken)
    {
        await using var answer = await OpenAsync(pathAndQuery, client.Transport.Options.Timeout, isEndless: false, cancellationToken);
        return await UpstreamEdge.RunAsync(answer.Url, () => ReadJsonAsync(answer, read, cancellationToken), cancellationToken);
    }

    internal Task<FeedInfo> GetInfoAsync(CancellationToken cancellationToken) => GetJsonAsync(
        "/",
        root => ReadInfo(root) ?? throw UpstreamFailures.Malformed(new Uri(Location + "/"), "is no database's information: it has no update_seq"),
        cancellationToken);

    /// <summary>The content of an info document, or null if it is not one.</summary>
    internal static FeedInfo? ReadInfo(JsonElement root)
    {
        if (root.ValueKind != JsonValueKind.Object || !root.TryGetProperty("update_seq", out var head) || head.ValueKind is JsonValueKind.Null)
        {
            return null;
        }

        var sequence = new Sequence(head.ValueKind == JsonValueKind.String ? head.GetString()! : head.GetRawText());
        var count = root.TryGetProperty("doc_count", out var documents) && documents.ValueKind == JsonValueKind.Number && documents.TryGetInt64(out var number) ? number : (long?)null;
        // Not instance_start_time: in CouchDB 1 that is the time when the database was opened, another one after each restart.
        return new FeedInfo(sequence, count, Text(root, "uuid") ?? Text(root, "db_name")) 
        {
            IsMirror = Text(root, "engine") == "npm-mirror",
            LogHash = Text(root, "log_head"),
        };
    }

    /// <summary>The hash of another npm-mirror's log at a position; null if it has no such row, or is too old to say.</summary>
    internal async Task<string?> ReadLogHashAsync(long position, CancellationToken cancellationToken)
    {
        try
        {
            var path = string.Create(CultureInfo.InvariantCulture, $"/-/log/{position}");
            return await GetJsonAsync(path, row => row.ValueKind == JsonValueKind.Object ? Text(row, "hash") : null, cancellationToken);
        }
        catch (MirrorException exception) when (exception.Fault == MirrorFault.UpstreamMalformed)
        {
            return null;
        }
    }

    /// <summary>The newest rows, the oldest of them first; nothing from a server that does not know <c>descending</c> and begins at its first row.</summary>
    internal async Task<IReadOnlyList<ChangeRow>> ReadNewestAsync(int rowsMax, CancellationToken cancellationToken)
    {
        await using var answer = await OpenAsync($"/_changes?descending=true&limit={rowsMax}", _options.Timeout, isEndless: false, cancellationToken);
        var rows = await ReadRowsAsync(answer, Sequence.Zero, rowsMax, cancellationToken);
        rows.Reverse();
        return rows.Count > 1 && rows[^1].Sequence.IsBefore(rows[0].Sequence) ? [] : rows;
    }

    /// <summary>The first rows after a sequence.</summary>
    internal async Task<IReadOnlyList<ChangeRow>> ReadRowsAsync(Sequence since, int rowsMax, CancellationToken cancellationToken)
    {
        await using var answer = await OpenChangesAsync(since, $"&limit={rowsMax}", _options.Timeout, isEndless: false, cancellationToken);
        return await ReadRowsAsync(answer, since, rowsMax, cancellationToken);
    }

    /// <summary>
    /// Everything, by pages of <c>_all_docs</c>; if there is none, by the classic <c>/-/all</c> of the registry. A page begins with
    /// the last id of the one before: the order is the upstream's own, so no next key can be computed. After a transient failure a page goes on at its
    /// last row, and the classic list, which has no pages, begins again: an id may come twice.
    /// </summary>
    internal async IAsyncEnumerable<ListedPackage> ListAllAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var packages = ListPagesAsync("", cancellationToken).GetAsyncEnumerator(cancellationToken);
        bool? hasNext;
        try
        {
            hasNext = await packages.MoveNextAsync();
        }
        catch (MirrorException exception) when (exception.Fault == MirrorFault.UpstreamMalformed)
        {
            // No such route, or something else lives there.
            hasNext = null;
        }

        if (hasNext is null)
        {
            await foreach (var package in new AllPackagesList(client).ReadAsync(cancellationToken))
            {
                yield return package;
            }
        }

        while (hasNext is true)
        {
            yield return packages.Current;
            hasNext = await packages.MoveNextAsync();
        }
    }

    /// <summary>Whether the list has an id; null if there is no list, or one that does not know the question and answers with other ids.</summary>
    internal async Task<bool?> IsListedAsync(string id, CancellationToken cancellationToken)
    {
        var isListed = false;
        try
        {
            await foreach (var row in ReadPageAsync($"&key={Uri.EscapeDataString(Quoted(id))}", cancellationToken))
            {
                if (row.Id != id)
                {
                    return null;
                }

                isListed |= !row.IsRemoved;
            }
        }
        catch (MirrorException exception) when (exception.Fault == MirrorFault.UpstreamMalformed)
        {
            return _hasListed
                ? throw new MirrorException(MirrorFault.UpstreamUnavailable, $"{Location} had a list of everything, and answers now as if it had none.", isTransient: true)
                : null;
        }

        return isListed;
    }

    /// <summary>The graveyard of another npm-mirror. An older one does not know the query and lists what it holds; none of that counts.</summary>
    internal async IAsyncEnumerable<ListedPackage> ListRemovedAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var package in ListPagesAsync("&removed=true", cancellationToken))
        {
            if (package.IsRemoved)
            {
                yield return package;
            }
        }
    }

    /// <summary>Runs a pipe over an answer's body.</summary>
    internal static PipeReader Pipe(FeedAnswer answer) =>
        PipeReader.Create(answer.Body, new StreamPipeReaderOptions(bufferSize: 64 * 1024, minimumReadSize: 4096, leaveOpen: true));

    private static string Quoted(string id) => $"\"{JsonEncodedText.Encode(id)}\"";

    private static string? Text(JsonElement root, string member) =>
        root.TryGetProperty(member, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static async Task<List<ChangeRow>> ReadRowsAsync(FeedAnswer answer, Sequence since, int rowsMax, CancellationToken cancellationToken)
    {
        var pipe = Pipe(answer);
        try
        {
            var rows = new List<ChangeRow>();
            await foreach (var page in ChangesReader.ReadPagesAsync(pipe, since, rowsMax, answer.Url, cancellationToken))
            {
                rows.AddRange(page.Rows.Take(rowsMax - rows.Count));
                if (rows.Count == rowsMax)
                {
                    // A server that ignores the limit may have no end.
                    break;
                }
            }

            return rows;
        }
        finally
        {
            await pipe.CompleteAsync();
        }
    }

    private async IAsyncEnumerable<ListedPackage> ListPagesAsync(string which, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        string? last = null, firstOfAll = null, firstBefore = null;
        var retry = client.NewRetry();
        while (true)
        {
            string? first = null;
            var asked = last;
            var start = last is null ? which : $"{which}&startkey={Uri.EscapeDataString(Quoted(last))}";
            await using var rows = ReadPageAsync(start, cancellationToken).GetAsyncEnumerator(cancellationToken);
            var (hasNew, isWhole) = (false, false);
            while (true)
            {
                try
                {
                    isWhole = !await rows.MoveNextAsync();
                    if (isWhole)
                    {
                        break;
                    }
                }
                // Before the first row there may be no list at all.
                catch (MirrorException failure) when (failure.IsTransient && (last is not null || failure.Fault != MirrorFault.UpstreamMalformed))
                {
                    // One page of hundreds that fails must not have all of them read again.
                    retry = hasNew ? client.NewRetry() : retry;
                    await retry.WaitAsync(failure, cancellationToken);
                    break;
                }

                if (first is null)
                {
                    first = rows.Current.Id;
                    if (first != asked && (first == firstOfAll || first == firstBefore))
                    {
                        // It would be read for ever.
                        throw UpstreamFailures.Malformed(new Uri(Location + "/_all_docs"), $"lists from {MirrorException.Quote(first)} on again when it is asked for what comes after {MirrorException.Quote(asked!)}: it does not know startkey", isTransient: false);
                    }

                    firstOfAll ??= first;
                }

                if (rows.Current.Id != last)
                {
                    (last, hasNew) = (rows.Current.Id, true);
                    yield return rows.Current;
                }
            }

            // A page with only the requested id is the end, whatever limit the upstream keeps.
            if (isWhole && !hasNew)
            {
                yield break;
            }

            retry = isWhole ? client.NewRetry() : retry;
            firstBefore = first;
        }
    }

    private MirrorException RefusedSequence(Sequence since, string? reason) => new(
        MirrorFault.BadInput,
        $"The feed at {Location} refuses the sequence {MirrorException.Quote(since.Text)} (400{(reason is null ? "" : $", {reason}")}); give last_seq one that this feed has told, 0 for everything or now for its head.");

    /// <summary>One page of the list, row by row as it comes.</summary>
    private async IAsyncEnumerable<ListedPackage> ReadPageAsync(string which, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var answer = await OpenAsync($"/_all_docs?limit={_options.ListRows}{which}", client.Transport.Options.Timeout, isEndless: false, cancellationToken);
        var pipe = Pipe(answer);
        try
        {
            await foreach (var package in ChangesReader.ReadListAsync(pipe, answer.Url, cancellationToken))
            {
                _hasListed = true;
                yield return package;
            }

            _hasListed = true;
        }
        finally
        {
            await pipe.CompleteAsync();
        }
    }

    private async Task<FeedAnswer> OpenAsync(UpstreamRequest request, TimeSpan idleTimeout, bool isEndless, Sequence? since, CancellationToken cancellationToken)
    {
        var response = await client.Transport.SendAsync(request, cancellationToken);
        try
        {
            if ((int)response.Message.StatusCode is var status and not 200)
            {
                var reason = await UpstreamFailures.ReadReasonAsync(response, client.Transport.Options.Timeout, TimeProvider, cancellationToken);
                throw status == 400 && since is { } refused ? RefusedSequence(refused, reason) : UpstreamFailures.OfStatus(response, reason, TimeProvider);
            }

            if (UpstreamFailures.IsHtml(response.Message))
            {
                throw UpstreamFailures.Malformed(response.Url, "is HTML instead of a feed");
            }

            var limits = isEndless ? new BodyLimits(long.MaxValue, idleTimeout, LowestBytesPerSecond: 0) : new BodyLimits(PageMaxBytes, idleTimeout);
            return new FeedAnswer(UpstreamBody.Open(response, limits, isFile: false, TimeProvider), response.Url);
        }
        catch
        {
            response.Dispose();
            throw;
        }
    }

    private static async Task<T> ReadJsonAsync<T>(FeedAnswer answer, Func<JsonElement, T> read, CancellationToken cancellationToken)
    {
        using var budget = new ByteBudget(InfoMaxBytes);
        using var text = await RawDocument.ReadAsync(answer.Body, budget, InfoMaxBytes, BudgetUse.Serving, cancellationToken) ?? throw UpstreamFailures.TooLarge(answer.Url, InfoMaxBytes);
        JsonDocument document;
        try
        {
            document = JsonDocument.Parse(text.Bytes.ToArray());
        }
        catch (JsonException)
        {
            throw CutJson.Is(text.Bytes) ? UpstreamFailures.BrokenOff(answer.Url) : UpstreamFailures.Malformed(answer.Url, "is no JSON");
        }

        using (document)
        {
            return read(document.RootElement);
        }
    }
}

/// <summary>An open answer of a feed.</summary>
internal sealed record FeedAnswer(UpstreamBody Body, Uri Url) : IAsyncDisposable
{
    /// <inheritdoc/>
    public ValueTask DisposeAsync() => Body.DisposeAsync();
}
