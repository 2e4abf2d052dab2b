using NpmMirror.Maintenance;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Maintenance;

/// <summary>Documents that an earlier program stored get the form of today's.</summary>
public sealed class DocumentRecodingTests : IAsyncLifetime
{
    private readonly List<PackageName> _damaged = [];
    private MaintenanceBench _bench = null!;
    private Func<ValueTask>? _beforeCommit;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _bench = await MaintenanceBench.StartAsync(
        wrapStore: store => HookedStore.Over(store, async (_, isBefore) => await (isBefore && Interlocked.Exchange(ref _beforeCommit, null) is { } hook ? hook() : default), nameof(IPackageTable.CommitAsync)));

    public ValueTask DisposeAsync() => _bench.DisposeAsync();

    [Claim("`gc --recode` gives documents of an earlier program today's form, and changes neither their bytes nor the log",
        With = [nameof(A_damaged_document_stays_and_is_named), nameof(A_document_that_changes_meanwhile_is_left_to_its_writer)],
        Red = "a damaged document ends the run: the second was red; a lost race counted as done: the third")]
    [Theory]
    [InlineData(DocumentCodec.Gzip)]
    [InlineData(DocumentCodec.Brotli)]
    public async Task Older_forms_become_todays(DocumentCodec codec)
    {
        await _bench.HoldAsync("ms", "1.0.0", "2.0.0");
        await _bench.HoldAsync("gone", "1.0.0");
        await _bench.HoldAsync("new", "1.0.0");
        _bench.Upstream.Unpublish("gone");
        await _bench.SyncAsync("gone");
        await AgeAsync("ms", codec);
        await AgeAsync("gone", codec);
        var before = await _bench.Store.Packages.ReadAsync(PackageName.Parse("ms"), Cancelled);
        var head = await _bench.Store.Log.ReadHeadAsync(Cancelled);

        var recoded = await RecodeAsync();
        Assert.Equal((2L, true), (recoded.Documents, recoded.BytesBefore > 0 && recoded.BytesAfter > 0));
        foreach (var name in (string[])["ms", "gone", "new"])
        {
            Assert.Equal(DocumentCodecs.Usual, await CodecAsync(name));
        }

        var after = await _bench.Store.Packages.ReadAsync(PackageName.Parse("ms"), Cancelled);
        Assert.Equal(before!.Document.As(DocumentCodec.Identity, before.Row.Name).Bytes, after!.Document.As(DocumentCodec.Identity, before.Row.Name).Bytes);
        Assert.Equal((before.Row.Facts, before.Row.LastPosition), (after.Row.Facts, after.Row.LastPosition));
        Assert.Equal(before.Row.Index, after.Row.Index);
        Assert.Equal(head, await _bench.Store.Log.ReadHeadAsync(Cancelled));
        Assert.Empty((await _bench.VerifyAsync()).Findings);
        Assert.Equal(new Recoded(0, 0, 0), await RecodeAsync());
        Assert.Empty(_damaged);
    }

    [Fact]
    public async Task A_damaged_document_stays_and_is_named()
    {
        await _bench.HoldAsync("bad", "1.0.0");
        await _bench.HoldAsync("ms", "1.0.0");
        await AgeAsync("bad", DocumentCodec.Brotli);
        await AgeAsync("ms", DocumentCodec.Brotli);
        _bench.Tamper("UPDATE documents SET bytes = (SELECT bytes FROM documents WHERE package = (SELECT id FROM packages WHERE name = 'ms')) WHERE package = (SELECT id FROM packages WHERE name = 'bad')");
        Assert.Equal(1, (await RecodeAsync()).Documents);
        Assert.Equal("bad", Assert.Single(_damaged).Value);
        Assert.Equal(DocumentCodec.Brotli, await CodecAsync("bad"));
    }

    [Fact]
    public async Task A_document_that_changes_meanwhile_is_left_to_its_writer()
    {
        await _bench.HoldAsync("ms", "1.0.0");
        await AgeAsync("ms", DocumentCodec.Brotli);
        _bench.Upstream.PublishVersion("ms", "1.1.0");
        _beforeCommit = async () => await _bench.SyncAsync("ms");
        Assert.Equal(0, (await RecodeAsync()).Documents);
        Assert.Equal(DocumentCodecs.Usual, await CodecAsync("ms"));
        Assert.Contains("1.1.0", System.Text.Encoding.UTF8.GetString((await _bench.Store.Packages.ReadAsync(PackageName.Parse("ms"), Cancelled))!.Document.As(DocumentCodec.Identity, PackageName.Parse("ms")).Bytes.Span), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Does_not_run_beside_a_collection()
    {
        await _bench.Store.Leases.TryHoldLeaseAsync("gc", "another", TimeSpan.FromMinutes(1), Cancelled);
        Assert.True((await Assert.ThrowsAsync<MirrorException>(RecodeAsync)).IsTransient);
    }

    private Task<Recoded> RecodeAsync() => new DocumentRecoding(_bench.Store, _bench.Clock).RunAsync(_damaged.Add, Cancelled);

    /// <summary>Stores a package's document as an earlier program did.</summary>
    private async Task AgeAsync(string name, DocumentCodec codec)
    {
        var package = (await _bench.Store.Packages.ReadAsync(PackageName.Parse(name), Cancelled))!;
        var commit = new PackageCommit { Name = package.Row.Name, ExpectedGeneration = package.Row.Generation, Facts = package.Row.Facts, Document = package.Document.As(codec, package.Row.Name), Index = package.Row.Index, Events = [] };
        Assert.True((await _bench.Store.Packages.CommitAsync(commit, Cancelled)).IsCommitted);
    }

    private async Task<DocumentCodec> CodecAsync(string name) => (await _bench.Store.Packages.ReadAsync(PackageName.Parse(name), Cancelled))!.Document.Codec;
}
