using System.Security.Cryptography;
using NpmMirror.Maintenance;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Maintenance;

/// <summary>Data that is right by its own digest, but does not match the package's document.</summary>
public sealed class PromiseVerificationTests : IAsyncLifetime
{
    private MaintenanceBench _bench = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _bench = await MaintenanceBench.StartAsync();
        await _bench.HoldAsync("left-pad", "1.0.0", "1.1.0");
        await _bench.HoldAsync("ms", "1.0.0");
        _bench.Clock.Advance(TimeSpan.FromHours(1));
    }

    public ValueTask DisposeAsync() => _bench.DisposeAsync();

    [Claim("Verify finds a tarball that is held with other bytes than its packument promises (republished, or a row that names another's bytes), and with a repair stores the promised ones; if the upstream sends none, the held ones stay",
        With =
        [
            nameof(The_held_bytes_stay_where_the_upstream_sends_others_than_it_promises),
            $"{nameof(VerifierTests)}.{nameof(VerifierTests.Finds_each_change_that_the_store_did_not_make)}",
        ])]
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_republished_version_is_found_and_taken_over_on_request(bool hasIntegrity)
    {
        _bench.Upstream.Publish(new FakePackage("ms").Version("1.0.0", version => (version.HasIntegrity, version.Extra["description"]) = (hasIntegrity, "second")));
        await _bench.SyncAsync("ms");
        var old = (await _bench.RowAsync("ms"))!;
        Assert.Contains("verify --repair", old.Problem, StringComparison.Ordinal);

        var finding = Assert.Single((await _bench.VerifyAsync()).Findings);
        Assert.Equal((VerifyFault.TarballNotPromised, "ms/ms-1.0.0.tgz", false), (finding.Fault, finding.Subject, finding.IsRepaired));
        Assert.Equal(old.Sha512, (await _bench.RowAsync("ms"))!.Sha512);

        var (mended, summary) = await _bench.VerifyAsync(new VerifyRequest { Repairs = _bench.Repairs });
        Assert.Equal((true, 0), (Assert.Single(mended).IsRepaired, summary.Left));
        var row = (await _bench.RowAsync("ms"))!;
        Assert.Equal((new Digest(SHA512.HashData(_bench.Upstream.Tarballs["/ms/-/ms-1.0.0.tgz"])), null), (row.Sha512, row.Problem));
        Assert.NotEqual(old.Sha512, row.Sha512);
        _bench.Clock.Advance(TimeSpan.FromHours(1));
        Assert.Empty((await _bench.VerifyAsync()).Findings);
    }

    [Fact]
    public async Task The_held_bytes_stay_where_the_upstream_sends_others_than_it_promises()
    {
        _bench.Upstream.Publish(new FakePackage("ms").Version("1.0.0", version => version.Extra["description"] = "second"));
        await _bench.SyncAsync("ms");
        var old = (await _bench.RowAsync("ms"))!;
        _bench.Upstream.Tarballs["/ms/-/ms-1.0.0.tgz"] = [1, 2, 3];
        var (findings, summary) = await _bench.VerifyAsync(new VerifyRequest { Repairs = _bench.Repairs });
        Assert.Contains("could not be mended", Assert.Single(findings).Problem, StringComparison.Ordinal);
        Assert.Equal(1, summary.Left);
        Assert.Equal((old.Sha512, old.Problem), ((await _bench.RowAsync("ms"))!.Sha512, (await _bench.RowAsync("ms"))!.Problem));
        Assert.True(await _bench.IsStoredAsync(old));
    }

    [Fact]
    public async Task A_tarball_that_cannot_be_read_for_its_promise_is_told_once()
    {
        HookedBlobs? blobs = null;
        await using var bench = await MaintenanceBench.StartAsync(wrapBlobs: inner => blobs = new HookedBlobs(inner));
        bench.Upstream.Publish(new FakePackage("old").Version("1.0.0", version => version.HasIntegrity = false));
        await bench.SyncAsync("old");
        bench.Clock.Advance(TimeSpan.FromHours(1));
        blobs!.BeforeOpen = _ => throw new MirrorException(MirrorFault.StoreUnavailable, "The disk has a bad block.");
        Assert.Equal(VerifyFault.TarballDamaged, Assert.Single((await bench.VerifyAsync()).Findings).Fault);
    }

    [Claim("An index or a document of another package is damage of its row: a finding, and fetched again",
        With = [$"{nameof(VerifierTests)}.{nameof(VerifierTests.Finds_each_change_that_the_store_did_not_make)}"])]
    [Theory]
    [InlineData("UPDATE tarballs SET (sha512, size) = (SELECT sha512, size FROM tarballs WHERE file = 'left-pad-1.0.0.tgz') WHERE package = 'ms'", VerifyFault.TarballNotPromised)]
    [InlineData("UPDATE tarballs SET (sha512, size) = (SELECT sha512, size FROM tarballs WHERE file = 'left-pad-1.0.0.tgz') WHERE file = 'left-pad-1.1.0.tgz'", VerifyFault.TarballNotPromised)]
    [InlineData("UPDATE packages SET package_index = (SELECT package_index FROM packages WHERE name = 'left-pad') WHERE name = 'ms'", VerifyFault.DocumentDamaged)]
    [InlineData(
        """
        UPDATE packages SET (document_sha256, raw_size) = (SELECT document_sha256, raw_size FROM packages WHERE name = 'left-pad') WHERE name = 'ms';
        UPDATE documents SET (codec, bytes) = (SELECT codec, bytes FROM documents WHERE package = (SELECT id FROM packages WHERE name = 'left-pad')) WHERE package = (SELECT id FROM packages WHERE name = 'ms')
        """,
        VerifyFault.DocumentDamaged)]
    public async Task Right_values_in_the_wrong_row_are_found_and_mended(string sql, VerifyFault fault)
    {
        _bench.Tamper(sql);
        Assert.Equal(fault, Assert.Single((await _bench.VerifyAsync()).Findings).Fault);
        var (mended, _) = await _bench.VerifyAsync(new VerifyRequest { Repairs = _bench.Repairs });
        Assert.True(Assert.Single(mended).IsRepaired, mended[0].Problem);
        Assert.Empty((await _bench.VerifyAsync()).Findings);
        Assert.Equal(new Digest(SHA512.HashData(_bench.Upstream.Tarballs["/ms/-/ms-1.0.0.tgz"])), (await _bench.RowAsync("ms"))!.Sha512);
    }
}
