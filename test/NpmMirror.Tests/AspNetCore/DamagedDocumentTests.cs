using System.Text;
using NpmMirror.Storage;
using NpmMirror.Testing;

namespace NpmMirror.Tests.AspNetCore;

/// <summary>A damaged document: never a 200, in any form, and fetched again.</summary>
public sealed class DamagedDocumentTests
{
    private const string True = "THE TRUE TEXT";
    private const string Wrong = "ANOTHER TEXTS";

    private static readonly PackageName Name = PackageName.Parse("ms");

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public static TheoryData<string, string> WaysAndForms()
    {
        var data = new TheoryData<string, string>();
        foreach (var form in new[] { "brotli", "gzip", "identity", "as served", "cut", "unknown" })
        {
            foreach (var way in new[] { "ms", "ms abbreviated", "ms gzip", "ms/1.0.0", "ms/latest", "ms/-/ms-1.0.0.tgz", "_changes?include_docs=true", "_all_docs?include_docs=true", "ms?open_revs=all", "_bulk_get" })
            {
                data.Add(way, form);
            }
        }

        return data;
    }

    [Claim("A damaged document is served in no form and by no way (packument, manifest, tarball, dist-tags, feeds, lists, replication)",
        With = [nameof(A_damaged_index_is_served_in_no_way)],
        Red = "`DocumentCodecs.DecodeInto` does not compare the hash: the first was red")]
    [Theory]
    [MemberData(nameof(WaysAndForms))]
    public async Task A_damaged_document_is_served_in_no_way(string way, string form)
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("ms", Documents.Of("ms", True));
        await DamageAsync(mirror, document => Damaged(document, form));
        var (status, text) = await AskAsync(mirror, way);
        Assert.DoesNotContain(Wrong, text, StringComparison.Ordinal);
        Assert.True(status == (IsList(way) ? 200 : 503), $"{way}: {status} {text}");
        Assert.True(text.Contains("The stored document of ms is damaged", StringComparison.Ordinal), text);
        Assert.NotNull(await mirror.Store.Queue.FindQueuedAsync(Name, Cancelled));
    }

    [Theory]
    [InlineData("ms")]
    [InlineData("ms/latest")]
    [InlineData("-/package/ms/dist-tags")]
    [InlineData("-/all")]
    [InlineData("_all_docs?include_docs=true")]
    public async Task A_damaged_index_is_served_in_no_way(string way)
    {
        await using var mirror = await ServedMirror.StartAsync();
        await mirror.PutAsync("ms", Documents.Of("ms", True));
        await DamageIndexAsync(mirror);
        var (status, text) = await AskAsync(mirror, way);
        Assert.True(status == (IsList(way) ? 200 : 503), $"{way}: {status} {text}");
        Assert.Contains("The stored document of ms is damaged", text, StringComparison.Ordinal);
        Assert.DoesNotContain("1.1.1", text, StringComparison.Ordinal);
    }

    [Claim("A list tells a damaged document and goes on; a package whose row is damaged, or whose document is gone, is a 503 until it was fetched anew",
        With = [$"{nameof(DamagedRowTests)}.{nameof(DamagedRowTests.A_package_with_a_damaged_row_is_fetched_anew_and_lists_go_on)}"])]
    [Theory]
    [InlineData("-/all")]
    [InlineData("_all_docs?include_docs=true")]
    [InlineData("_changes?include_docs=true")]
    [InlineData("_changes?include_docs=true&descending=true")]
    [InlineData("_changes?include_docs=true&feed=continuous&timeout=0")]
    [InlineData("_bulk_get")]
    public async Task A_list_tells_a_damaged_document_and_goes_on(string way)
    {
        await using var mirror = await ServedMirror.StartAsync();
        foreach (var name in (string[])["aa", "ms", "zz"])
        {
            await mirror.PutAsync(name, Documents.Of(name, $"TEXT OF {name}"));
        }

        await DamageAsync(mirror, document => Damaged(document, "brotli"));
        var (status, text) = await AskAsync(mirror, way);
        Assert.Equal(200, status);
        Assert.Contains("TEXT OF aa", text, StringComparison.Ordinal);
        Assert.Contains("TEXT OF zz", text, StringComparison.Ordinal);
        Assert.Contains("\"error\":\"damaged\",\"reason\":\"The stored document of ms is damaged", text, StringComparison.Ordinal);
        foreach (var json in way.Contains("continuous", StringComparison.Ordinal) ? text.Split('\n', StringSplitOptions.RemoveEmptyEntries) : [text])
        {
            using var parsed = System.Text.Json.JsonDocument.Parse(json);
        }
    }

    [Claim("A document in the form that `store.documents=served` once wrote is reported as such, fetched again on request, and by `verify --repair`",
        With = [$"{nameof(Maintenance.VerifierTests)}.{nameof(Maintenance.VerifierTests.A_document_in_the_form_that_went_is_named_and_fetched_again)}"],
        Red = "`DocumentCodecs` takes it for a damaged one: the last was red")]
    [Claim("The queue fetches a damaged document again, without validators, once for many requests; while the upstream is away requests tell the reason and do not ask it",
        With = [nameof(While_the_upstream_is_away_requests_say_so_and_do_not_ask_it), nameof(A_change_is_stored_over_a_damaged_row)],
        Red = "`DocumentRepair` queues nothing, or anew with each request, or does not note the damage: the second was red; `PackageSync` refuses a change of what it cannot read: the last")]
    [Theory]
    [InlineData("brotli")]
    [InlineData("as served")]
    [InlineData("index")]
    public async Task A_damaged_document_is_fetched_again_without_validators(string form)
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: Cancelled);
        registry.PutDocument("ms", Encoding.UTF8.GetBytes(Documents.Of("ms", True)));
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url);
        var right = await mirror.TextAsync("ms");
        await (form == "index" ? DamageIndexAsync(mirror) : DamageAsync(mirror, document => Damaged(document, form)));
        registry.Requests.Clear();
        Assert.Equal(503, (await AskAsync(mirror, "ms")).Status);
        // No request meanwhile: one that met the damage just before the repair would queue another.
        await Eventually.Async(async () => await mirror.Store.Queue.FindQueuedAsync(Name, Cancelled) is null);
        Assert.Equal(200, (await AskAsync(mirror, "ms")).Status);
        Assert.Equal(right, await mirror.TextAsync("ms"));
        Assert.Equal(1, registry.Requests.CountOf("/ms"));
        Assert.Null(registry.Requests.Last("/ms")!.Header("if-none-match"));
    }

    [Fact]
    public async Task While_the_upstream_is_away_requests_say_so_and_do_not_ask_it()
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: Cancelled);
        registry.PutDocument("ms", Encoding.UTF8.GetBytes(Documents.Of("ms", True)));
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url);
        await mirror.TextAsync("ms");
        await DamageAsync(mirror, document => Damaged(document, "brotli"));
        var trouble = registry.Knobs.Fail("/ms", 503);
        registry.Requests.Clear();
        await Eventually.Async(async () => (await AskAsync(mirror, "ms")).Text.Contains("the last try failed", StringComparison.Ordinal));
        var before = registry.Requests.CountOf("/ms");
        for (var i = 0; i < 200; i++)
        {
            Assert.Equal(503, (await AskAsync(mirror, "ms")).Status);
        }

        Assert.InRange(registry.Requests.CountOf("/ms") - before, 0, 20);
        registry.Knobs.Remove(trouble);
        await Eventually.Async(async () => (await AskAsync(mirror, "ms")).Status == 200);
    }

    [Theory]
    [InlineData("index")]
    [InlineData("document")]
    [InlineData("both")]
    public async Task A_change_is_stored_over_a_damaged_row(string damage)
    {
        await using var registry = await FakeRegistry.StartAsync(cancellationToken: Cancelled);
        registry.PutDocument("ms", Encoding.UTF8.GetBytes(Documents.Of("ms", True)));
        await using var mirror = await ServedMirror.StartAsync(upstream: registry.Url);
        await mirror.TextAsync("ms");
        if (damage != "index")
        {
            await DamageAsync(mirror, document => Damaged(document, "brotli"));
        }

        if (damage != "document")
        {
            await DamageIndexAsync(mirror);
        }

        registry.PutDocument("ms", Encoding.UTF8.GetBytes(Documents.Of("ms", "THE NEXT TEXT")));
        await Eventually.Async(async () => (await AskAsync(mirror, "ms")).Text.Contains("THE NEXT TEXT", StringComparison.Ordinal));
        await using var log = mirror.Store.Log.ReadHistoryAsync(Name, Cancelled).GetAsyncEnumerator(Cancelled);
        Assert.True(await log.MoveNextAsync());
    }

    private static StoredDocument Damaged(StoredDocument document, string form)
    {
        var wrong = Encoding.UTF8.GetBytes(Documents.Of("ms", Wrong));
        return form switch
        {
            "gzip" => DocumentCodecs.Encode(wrong, document.Sha256, DocumentCodec.Gzip),
            "identity" => DocumentCodecs.Encode(wrong, document.Sha256, DocumentCodec.Identity),
            "as served" => document with { Codec = (DocumentCodec)3 },
            "unknown" => document with { Codec = (DocumentCodec)77 },
            "cut" => document with { Bytes = document.Bytes[..^9] },
            _ => DocumentCodecs.Encode(wrong, document.Sha256),
        };
    }

    private static async Task DamageAsync(ServedMirror mirror, Func<StoredDocument, StoredDocument> damage)
    {
        var package = (await mirror.Store.Packages.ReadAsync(Name, Cancelled))!;
        await PutAsync(mirror, package, damage(package.Document), package.Row.Index);
    }

    private static async Task DamageIndexAsync(ServedMirror mirror)
    {
        var package = (await mirror.Store.Packages.ReadAsync(Name, Cancelled))!;
        var index = package.Row.Index.ToArray();
        index[^10] ^= 1;
        await PutAsync(mirror, package, package.Document, index);
    }

    // As another process would, and with a row of the log: nothing of before stays in memory.
    private static async Task PutAsync(ServedMirror mirror, StoredPackage package, StoredDocument document, ReadOnlyMemory<byte> index)
    {
        var pending = new Log.PendingEvent { Ordinal = 0, Type = "MetadataChanged", SeenAt = DateTimeOffset.UnixEpoch, Payload = "{\"members\":[]}"u8.ToArray() };
        var commit = new PackageCommit { Name = Name, ExpectedGeneration = package.Row.Generation, Document = document, Index = index.ToArray(), Facts = package.Row.Facts, Events = [pending] };
        Assert.True((await mirror.Store.Packages.CommitAsync(commit, Cancelled)).IsCommitted);
        mirror.Cache.DropAll();
    }

    private static bool IsList(string way) => way[0] is '_' or '-' && !way.StartsWith("-/package", StringComparison.Ordinal);

    /// <summary>The answer; without a status where it was broken off.</summary>
    private static async Task<(int? Status, string Text)> AskAsync(ServedMirror mirror, string way)
    {
        using var request = way == "_bulk_get"
            ? new HttpRequestMessage(HttpMethod.Post, new Uri(way, UriKind.Relative)) { Content = new StringContent("{\"docs\":[{\"id\":\"aa\"},{\"id\":\"ms\"},{\"id\":\"zz\"}]}") }
            : new HttpRequestMessage(HttpMethod.Get, new Uri(way.Split(' ')[0], UriKind.Relative));
        (string, string)[] headers = way.EndsWith(" abbreviated", StringComparison.Ordinal) ? [("Accept", "application/vnd.npm.install-v1+json")] : way.EndsWith(" gzip", StringComparison.Ordinal) ? [("Accept-Encoding", "gzip")] : [];
        try
        {
            using var answer = await mirror.SendAsync(request, headers);
            return ((int)answer.StatusCode, await answer.Content.ReadAsStringAsync(Cancelled));
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            return (null, "");
        }
    }
}
