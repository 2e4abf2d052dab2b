using NpmMirror.Maintenance;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Maintenance;

/// <summary>Repairs that cannot succeed: they cost no data, and say why.</summary>
public sealed class RepairsTests
{
    private static readonly PackageName Name = PackageName.Parse("ms");

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Claim("A repair that fails leaves the tarball's row as it was: its bytes may come back, or another repair succeeds",
        Red = "`TarballVerification` takes bytes that are gone, changed or unreadable for bytes that others have to replace, and forgets their row first")]
    [Theory]
    [InlineData("gone", VerifyFault.TarballMissing)]
    [InlineData("changed", VerifyFault.TarballDamaged)]
    [InlineData("unreadable", VerifyFault.TarballDamaged)]
    public async Task A_row_stays_where_its_bytes_cannot_be_fetched_again(string damage, VerifyFault fault)
    {
        HookedBlobs? blobs = null;
        await using var bench = await MaintenanceBench.StartAsync(wrapBlobs: inner => blobs = new HookedBlobs(inner));
        await bench.HoldAsync("ms", "1.0.0");
        bench.Clock.Advance(TimeSpan.FromHours(1));
        var row = (await bench.RowAsync("ms"))!;
        if (damage == "unreadable")
        {
            blobs!.BeforeOpen = _ => throw new MirrorException(MirrorFault.StoreUnavailable, "The disk has a bad block.");
        }
        else if (damage == "gone")
        {
            File.Delete(bench.FileOf(row.Sha512));
        }
        else
        {
            await File.WriteAllBytesAsync(bench.FileOf(row.Sha512), new byte[row.SizeBytes], Cancelled);
        }

        bench.Upstream.Knobs.Fail("*", 500);
        var finding = Assert.Single((await bench.VerifyAsync(new VerifyRequest { Repairs = bench.Repairs })).Findings);
        Assert.Equal((fault, false), (finding.Fault, finding.IsRepaired));
        Assert.Contains("could not be mended", finding.Problem, StringComparison.Ordinal);
        Assert.Equal((TarballState.Held, row.Sha512), ((await bench.RowAsync("ms"))!.State, (await bench.RowAsync("ms"))!.Sha512));
    }

    [Claim("A repair touches no row that was written with other bytes since it was found damaged",
        Red = "`TryReplaceTarballAsync` does not compare the hash; `TryMendRowAsync` does not look whether the row was written")]
    [Fact]
    public async Task A_row_that_has_other_bytes_by_now_is_left_alone()
    {
        await using var bench = await MaintenanceBench.StartAsync();
        await bench.HoldAsync("ms", "1.0.0");
        var row = (await bench.RowAsync("ms"))!;
        var found = row with { Sha512 = await bench.PutBlobAsync("damaged"u8.ToArray()), SizeBytes = 7 };
        Assert.Equal("it was served or written meanwhile; run it again.", await bench.Repairs.TryReplaceTarballAsync(found, Cancelled));
        Assert.Equal("it was written meanwhile.", await bench.Repairs.TryMendRowAsync(found, Cancelled));
        Assert.Equal(row, await bench.RowAsync("ms"));
    }

    [Theory]
    [InlineData("never-held")]
    [InlineData("ms")]
    public async Task A_row_that_no_packument_lists_cannot_be_mended_and_says_so(string package)
    {
        await using var bench = await MaintenanceBench.StartAsync();
        await bench.HoldAsync("ms", "1.0.0");
        var row = new TarballRow { Package = PackageName.Parse(package), File = $"{package}-9.9.9.tgz", Version = "9.9.9", State = TarballState.Missing };
        Assert.Equal("no packument of this mirror lists it.", await bench.Repairs.TryMendRowAsync(row, Cancelled));
    }

    [Claim("A repair that meets an unexpected error is a finding that tells it, and ends no run; a run that is cancelled ends",
        Red = "`Repairs` catches no unexpected error, or cancellations too")]
    [Fact]
    public async Task An_unexpected_error_is_told_and_a_cancellation_is_none()
    {
        Exception? odd = null;
        await using var bench = await MaintenanceBench.StartAsync(wrapStore: store => InterceptedStore.Over(store, call => odd is not null && call.Method == nameof(IPackageTable.ReadAsync) ? throw odd : call.Make()));
        await bench.HoldAsync("ms", "1.0.0");
        odd = new InvalidOperationException("Nobody expected this.");
        Assert.Equal("an unexpected error (InvalidOperationException: Nobody expected this.)", await bench.Repairs.TryFetchTarballAsync(Name, "1.0.0", Cancelled));
        odd = new OperationCanceledException();
        await Assert.ThrowsAsync<OperationCanceledException>(() => bench.Repairs.TryFetchTarballAsync(Name, "1.0.0", Cancelled));
        odd = null;
        Assert.Null(await bench.Repairs.TryFetchTarballAsync(Name, "1.0.0", Cancelled));
        Assert.Equal("its packument gives no address for it.", await bench.Repairs.TryFetchTarballAsync(Name, "9.9.9", Cancelled));
        Assert.Equal("the package is not held any more.", await bench.Repairs.TryFetchTarballAsync(PackageName.Parse("never-held"), "1.0.0", Cancelled));
    }
}
