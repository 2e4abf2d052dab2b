using NpmMirror.Log;
using NpmMirror.Storage;
using NpmMirror.Syncing;
using NpmMirror.Tests.Maintenance;

namespace NpmMirror.Tests.Removals;

/// <summary>The damaged row of a package in the graveyard: the next answer of the upstream mends it, and no event tells of a second removal.</summary>
public sealed class DamagedRemovalTests
{
    private static readonly PackageName Name = PackageName.Parse("gone");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Claim("A damaged row of the graveyard is mended by the next answer: it keeps how the package went, and takes it from the answer only where that is damaged",
        Red = "`PackageSync.RemoveAsync` always, or never, takes the kind from the answer")]
    [Theory]
    [InlineData("etag = x'00'", 404, RemovalKind.Blocked)]
    [InlineData("etag = x'00'", 451, RemovalKind.Blocked)]
    [InlineData("removal = 'Eaten'", 404, RemovalKind.Gone)]
    [InlineData("removal = 'Eaten'", 451, RemovalKind.Blocked)]
    public async Task A_damaged_row_keeps_how_the_package_went_where_it_is_known(string damage, int status, RemovalKind kind)
    {
        await using var bench = await MaintenanceBench.StartAsync();
        await bench.HoldAsync("gone", "1.0.0");
        var answer = bench.Upstream.Knobs.Fail("/gone", 451);
        var now = bench.Clock.GetUtcNow();
        Assert.IsType<SyncResult.Removed>(await bench.SyncAsync("gone", new QueueItem { Name = Name, Priority = QueuePriority.Change, DueAt = now, QueuedAt = now, IsDeletedRow = true }));
        bench.Tamper($"UPDATE packages SET {damage}");
        Assert.NotNull((await bench.Store.Packages.FindAsync(Name, Token))!.Damage);
        var events = await bench.Store.Log.ReadLogAsync(LogPosition.Zero, Token).CountAsync(Token);

        bench.Upstream.Knobs.Remove(answer);
        bench.Upstream.Knobs.Fail("/gone", status);
        bench.Clock.Advance(TimeSpan.FromHours(1));
        Assert.Empty(Assert.IsType<SyncResult.Removed>(await bench.SyncAsync("gone")).Events);
        var row = (await bench.Store.Packages.FindAsync(Name, Token))!;
        Assert.Equal((null, kind, bench.Clock.GetUtcNow()), (row.Damage, row.Facts.Removal, row.Facts.StoredAt));
        Assert.Equal(events, await bench.Store.Log.ReadLogAsync(LogPosition.Zero, Token).CountAsync(Token));

        // Mended, it is written no more.
        Assert.IsType<SyncResult.Unchanged>(await bench.SyncAsync("gone"));
        Assert.Equal(row.Generation, (await bench.Store.Packages.FindAsync(Name, Token))!.Generation);
    }
}
