using System.Security.Cryptography;
using NpmMirror.Maintenance;
using NpmMirror.Storage;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Maintenance;

/// <summary>A tarball takes another's place while its row is written by others: what they wrote counts, and it is tried again a few times.</summary>
public sealed class ReplacementRaceTests
{
    private const int TriesMax = 5;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

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
}
