using System.Text;
using NpmMirror.Copying;
using NpmMirror.Notes;
using NpmMirror.Storage;
using NpmMirror.Tests.Maintenance;

namespace NpmMirror.Tests.Copying;

/// <summary>A small mirror that has a bit of all that a mirror can have, filled from a fake upstream.</summary>
internal sealed class RichMirror : IAsyncDisposable
{
    private RichMirror(MaintenanceBench bench) => Bench = bench;

    internal MaintenanceBench Bench { get; }

    internal IMetadataStore Store => Bench.Store;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    internal static async Task<RichMirror> StartAsync(Action<NpmMirror.Options.MirrorOptions>? configure = null)
    {
        var rich = new RichMirror(await MaintenanceBench.StartAsync(configure));
        await rich.FillAsync();
        return rich;
    }

    /// <summary>Drops a package's past: the documents that its events point into and its own, and, unless it is to stay, the payload of its first event.</summary>
    internal async Task PurgeAsync(string name, bool withPayload = true)
    {
        var package = PackageName.Parse(name);
        var row = (await Store.Packages.FindAsync(package, Token))!;
        var rows = await Store.Log.ReadHistoryAsync(package, Token).ToListAsync(Token);
        var documents = rows.SelectMany(one => NpmMirror.Maintenance.ArchivedReferences.Of(one)).Append(row.DocumentSha256).Distinct().ToList();
        Assert.True(await Store.Packages.PurgeAsync(new PackagePurge(package, row.Generation, withPayload ? [rows[0].Position] : [], documents), Token) > 0);
    }

    internal async Task<CopySummary> CopyToAsync(IMetadataStore target, (IBlobStore, IBlobStore)? blobs = null, Action<CopyFinding>? found = null) =>
        await new MirrorCopy(Store, target, blobs, Bench.Clock).RunAsync(new CopyRequest { Found = found }, Token);

    public ValueTask DisposeAsync() => Bench.DisposeAsync();

    private async Task FillAsync()
    {
        var now = Bench.Clock.GetUtcNow();
        await Bench.HoldAsync("left-pad", "1.0.0", "1.1.0");
        await Bench.HoldAsync("ms", "1.0.0");
        await Bench.HoldAsync("@scope/Odd", "1.0.0");
        await Bench.HoldAsync("taken", "1.0.0");
        await Bench.HoldAsync("holder", "1.0.0");
        await Bench.HoldAsync("back", "1.0.0");
        await Bench.HoldAsync("purged", "1.0.0");
        Bench.Upstream.PublishVersion("ms", "2.0.0");
        await Bench.SyncAsync("ms");
        Bench.Upstream.Unpublish("@scope/Odd");
        Bench.Upstream.Unpublish("back");
        Bench.Upstream.Unpublish("purged");
        Bench.Upstream.TakeDown("holder");
        foreach (var name in (string[])["@scope/Odd", "back", "purged", "holder"])
        {
            await Bench.SyncAsync(name);
        }

        Bench.Upstream.Delete("taken");
        await Bench.SyncAsync("taken", Item("taken") with { IsDeletedRow = true });
        Bench.Upstream.Publish(new NpmMirror.Testing.FakePackage("back").Version("2.0.0"));
        await Bench.SyncAsync("back");
        await PurgeAsync("purged");

        await Store.Queue.EnqueueAsync(
            [
                Item("left-pad") with { WantedRev = "7-a", Priority = QueuePriority.Bulk },
                Item("retried") with { Attempts = 4, LastError = "It answered 500.", DueAt = now.AddMinutes(5), MissingSince = now.AddDays(-1), IsDeletedRow = true },
            ],
            new QueueCursor(MirrorCursors.Read, "42"),
            Token);
        await Store.Queue.TakeAsync(PackageName.Parse("left-pad"), TimeSpan.FromMinutes(1), Token);
        await Store.Notes.SetNoteAsync(MirrorCursors.Instance, "0123456789abcdef0123456789abcdef", Token);
        await Store.Notes.SetNoteAsync(MirrorCursors.GivenUp, """[{"name":"lost","at":"2040-01-01T00:00:00Z","reason":"ä"}]""", Token);
        await Store.Notes.SetNoteAsync(MirrorCursors.Leader, "a-node 1 2", Token);
        await Store.Kept.KeepAsync("/-/npm/v1/keys", Encoding.UTF8.GetBytes("""{"keys":[]}"""), Token);
        await Store.Kept.KeepAsync("/-/npm/v1/attestations/ms@1.0.0", new byte[] { 0, 1, 255 }, Token);
        await Store.Tarballs.PutTarballAsync(new TarballRow { Package = PackageName.Parse("ms"), File = "ms-0.9.0.tgz", Version = "0.9.0", State = TarballState.Missing, Problem = "404" }, Token);
        await Store.Tarballs.StampServedAsync([new TarballServed(PackageName.Parse("ms"), "ms-1.0.0.tgz", now)], Token);
        await CountAsync(2);
        Bench.Clock.Advance(TimeSpan.FromHours(1));
    }

    internal async Task CountAsync(long count) => await Store.Tarballs.RecordAccessAsync(
        [new TarballAccess(PackageName.Parse("ms"), "ms-1.0.0.tgz", "npm/11", new DateOnly(2040, 1, 1), count), new TarballAccess(PackageName.Parse("taken"), "taken-1.0.0.tgz", "pnpm", new DateOnly(2039, 12, 31), count)],
        Token);

    internal QueueItem Item(string name) => new() { Name = PackageName.Parse(name), Priority = QueuePriority.Change, DueAt = Bench.Clock.GetUtcNow(), QueuedAt = Bench.Clock.GetUtcNow() };
}
