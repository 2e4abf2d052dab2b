using System.Security.Cryptography;
using NpmMirror.Maintenance;
using NpmMirror.Options;
using NpmMirror.Storage;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Maintenance;

/// <summary>A tarball replaces another while its row is written by others: their writes count, and it is tried again a few times.</summary>
public sealed class ReplacementRaceTests
{
    private const int TriesMax = 5;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Claim("Writes of others while a tarball is replaced or a package purged count: it is tried five times, and then reported",
        With = [nameof(One_that_is_no_tar_and_is_served_meanwhile_is_left_and_told), nameof(A_package_that_others_write_is_purged_at_one_of_five_tries)])]
    [Theory]
    [InlineData(0, true)]
    [InlineData(1, true)]
    [InlineData(TriesMax - 1, true)]
    [InlineData(TriesMax, false)]
    public async Task A_row_that_is_served_meanwhile_is_replaced_at_one_of_five_tries(int served, bool isReplaced)
    {
        MaintenanceBench? bench = null;
        var left = served;
        var isRacing = false;
        await using var owned = bench = await MaintenanceBench.StartAsync(wrapStore: store => HookedStore.Over(
            store,
            async (_, isBefore) =>
            {
                if (isRacing && isBefore && left-- > 0)
                {
                    bench!.Clock.Advance(TimeSpan.FromMinutes(1));
                    await bench.Store.Tarballs.StampServedAsync([new TarballServed(PackageName.Parse("ms"), "ms-1.0.0.tgz", bench.Clock.GetUtcNow())], Token);
                }
            },
            nameof(ITarballTable.ForgetTarballAsync)));
        await bench.HoldAsync("ms", "1.0.0");
        bench.Clock.Advance(TimeSpan.FromHours(1));
        bench.Upstream.Publish(new FakePackage("ms").Version("1.0.0", version => version.Extra["description"] = "second"));
        await bench.SyncAsync("ms");
        var old = (await bench.RowAsync("ms"))!;
        isRacing = true;

        var finding = Assert.Single((await bench.VerifyAsync(new VerifyRequest { Repairs = bench.Repairs })).Findings);
        Assert.Equal((VerifyFault.TarballNotPromised, isReplaced), (finding.Fault, finding.IsRepaired));
        var row = (await bench.RowAsync("ms"))!;
        var second = new Digest(SHA512.HashData(bench.Upstream.Tarballs["/ms/-/ms-1.0.0.tgz"]));
        Assert.Equal(isReplaced ? second : old.Sha512, row.Sha512);
        if (!isReplaced)
        {
            Assert.Contains("was written by others 5 times in a row; run it again", finding.Problem, StringComparison.Ordinal);
        }
        else if (served > 0)
        {
            Assert.Equal(bench.Clock.GetUtcNow(), row.LastServedAt);
        }
    }

    [Fact]
    public async Task One_that_is_no_tar_and_is_served_meanwhile_is_left_and_told()
    {
        MaintenanceBench? bench = null;
        await using var owned = bench = await MaintenanceBench.StartAsync(wrapStore: store => HookedStore.Over(
            store,
            async (_, isBefore) =>
            {
                if (isBefore)
                {
                    await bench!.Store.Tarballs.StampServedAsync([new TarballServed(PackageName.Parse("odd"), "odd-1.0.0.tgz", bench.Clock.GetUtcNow())], Token);
                }
            },
            nameof(ITarballTable.ForgetTarballAsync)));
        bench.Upstream.Publish(new FakePackage("odd").Version("1.0.0", version => (version.HasIntegrity, version.HasShasum) = (false, false)));
        await bench.SyncAsync("odd");
        bench.Clock.Advance(TimeSpan.FromHours(1));
        var wrong = await bench.PutBlobAsync("<html>"u8.ToArray());
        bench.Tamper($"UPDATE tarballs SET sha512 = x'{wrong.Hex}', size = 6 WHERE file = 'odd-1.0.0.tgz'");
        var (findings, summary) = await bench.VerifyAsync(new VerifyRequest { Repairs = bench.Repairs });
        Assert.Contains("it was served or written meanwhile; run it again", Assert.Single(findings).Problem, StringComparison.Ordinal);
        Assert.Equal((1, wrong), (summary.Left, (await bench.RowAsync("odd"))!.Sha512));
    }

    [Theory]
    [InlineData(TriesMax - 1, true)]
    [InlineData(TriesMax, false)]
    public async Task A_package_that_others_write_is_purged_at_one_of_five_tries(int written, bool isPurged)
    {
        MaintenanceBench? bench = null;
        var left = written;
        await using var owned = bench = await MaintenanceBench.StartAsync(options => options.Removed.Unpublished = RemovedMode.Purge, store => HookedStore.Over(
            store,
            async (_, isBefore) =>
            {
                if (isBefore && left-- > 0)
                {
                    var row = (await bench!.Store.Packages.FindAsync(PackageName.Parse("ms"), Token))!;
                    Assert.True((await bench.Store.Packages.CommitAsync(new PackageCommit { Name = row.Name, ExpectedGeneration = row.Generation, Facts = row.Facts, Events = [] }, Token)).IsCommitted);
                }
            },
            nameof(IPackageTable.PurgeAsync)));
        await bench.HoldAsync("ms", "1.0.0");
        bench.Upstream.Unpublish("ms");
        await bench.SyncAsync("ms");
        bench.Clock.Advance(TimeSpan.FromHours(25));
        if (isPurged)
        {
            Assert.Contains((await bench.CollectAsync()).Items, item => item is { Kind: GarbageKind.Purged, Subject: "ms" });
        }
        else
        {
            var refused = await Assert.ThrowsAsync<MirrorException>(() => bench.CollectAsync());
            Assert.Equal((MirrorFault.StoreUnavailable, true), (refused.Fault, refused.IsTransient));
            Assert.Contains("ms was written by other processes 5 times in a row; run gc again", refused.Message, StringComparison.Ordinal);
        }

        Assert.Equal(isPurged ? DocumentCodec.Purged : DocumentCodecs.Usual, (await bench.Store.Packages.ReadAsync(PackageName.Parse("ms"), Token))!.Document.Codec);
    }
}
