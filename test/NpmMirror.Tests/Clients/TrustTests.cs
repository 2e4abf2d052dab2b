using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Clients;

/// <summary>The proofs that clients check before they trust a version pass the mirror unchanged: signatures, provenance, publish times.</summary>
[Collection("Clients")]
public sealed class TrustTests
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Claim("Signatures and keys pass unchanged, offline too",
        With = [nameof(Signatures_hold_against_the_keys_that_the_mirror_tells)],
        Red = "the kept keys are not served when the upstream is away")]
    [Fact]
    public async Task Pnpm_verifies_the_signatures_also_when_the_upstream_is_gone()
    {
        await using var bench = await ClientBench.StartAsync("pnpm-12", Cancelled);
        bench.Sandbox.WriteManifest(new Dictionary<string, string> { ["plain"] = "1.1.0", ["@scope/tool"] = "1.2.0" });
        await bench.InstallAsync(isFrozen: false, Cancelled);

        Assert.Contains("verified", await bench.SucceedAsync(Cancelled, "audit", "signatures"), StringComparison.OrdinalIgnoreCase);
        await bench.GoOfflineAsync(Cancelled);
        Assert.Contains("verified", await bench.SucceedAsync(Cancelled, "audit", "signatures"), StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task Signatures_hold_against_the_keys_that_the_mirror_tells()
    {
        await using var bench = await ClientBench.StartAsync("npm", Cancelled);
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        var keys = JsonNode.Parse(await client.GetStringAsync(new Uri(bench.Relay.Registry, "-/npm/v1/keys"), Cancelled))!["keys"]!.AsArray();
        var dist = JsonNode.Parse(await client.GetStringAsync(new Uri(bench.Relay.Registry, "plain"), Cancelled))!["versions"]!["1.1.0"]!["dist"]!;
        var signature = dist["signatures"]![0]!;

        using var key = ECDsa.Create();
        key.ImportSubjectPublicKeyInfo(Convert.FromBase64String((string)keys.Single(candidate => (string?)candidate!["keyid"] == (string?)signature["keyid"])!["key"]!), out _);
        Assert.Equal(2, keys.Count);
        Assert.True(key.VerifyData(Encoding.UTF8.GetBytes($"plain@1.1.0:{dist["integrity"]}"), Convert.FromBase64String((string)signature["sig"]!), HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence));
    }

    [Fact]
    public async Task Pnpm_sees_that_a_version_lost_its_provenance()
    {
        await using var bench = await ClientBench.StartAsync("pnpm-10", Cancelled);
        bench.Upstream.Publish(new FakePackage("proven").Version("1.0.0", version => version.HasAttestations = true).Version("1.1.0"));
        bench.Sandbox.WriteProject("pnpm-workspace.yaml", bench.Sandbox.ReadProject("pnpm-workspace.yaml") + "\ntrustPolicy: no-downgrade\n");

        await bench.SucceedAsync(Cancelled, "add", "proven@1.0.0");
        Assert.Contains("TRUST_DOWNGRADE", await bench.FailAsync(Cancelled, "add", "proven@1.1.0"), StringComparison.Ordinal);
    }

    [Claim("Attestations: their address is rewritten, they are kept, and a client that wants them sees them",
        With = [nameof(Pnpm_sees_that_a_version_lost_its_provenance)],
        Red = "`dist.attestations.url` is not rewritten")]
    [Fact]
    public async Task Attestations_are_served_at_their_address_also_without_the_upstream()
    {
        await using var bench = await ClientBench.StartAsync("npm", Cancelled);
        var url = new Uri(JsonNode.Parse(await bench.SucceedAsync(Cancelled, "view", "@scope/tool@1.2.0", "dist.attestations.url", "--json"))!.GetValue<string>());
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        var expected = bench.Upstream.Attestations["@scope/tool@1.2.0"];

        Assert.Equal(bench.Relay.Url.Authority, url.Authority);
        Assert.True(JsonNode.DeepEquals(expected, JsonNode.Parse(await client.GetStringAsync(url, Cancelled))));
        await bench.GoOfflineAsync(Cancelled);
        Assert.True(JsonNode.DeepEquals(expected, JsonNode.Parse(await client.GetStringAsync(url, Cancelled))));
    }

    [Claim("`time` is complete in the abbreviated form: age gates work, and no client asks twice (never-again 8)",
        With = [nameof(Pnpm_asks_once_for_each_packument_however_young_it_is)],
        Red = "the abbreviated form has no `time`")]
    [Theory]
    [InlineData("pnpm-12")]
    [InlineData("berry")]
    public async Task A_client_with_an_age_gate_takes_the_version_that_is_old_enough(string tool)
    {
        await using var bench = await ClientBench.StartAsync(tool, Cancelled);
        bench.Upstream.PublishVersion("plain", "2.1.0");
        bench.Sandbox.WriteManifest(new Dictionary<string, string> { ["plain"] = "^2.0.0" });
        await bench.InstallAsync(isFrozen: false, Cancelled);

        Assert.Equal("2.0.0", bench.Sandbox.Installed("plain"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Pnpm_asks_once_for_each_packument_however_young_it_is(bool isYoung)
    {
        await using var bench = await ClientBench.StartAsync("pnpm-12", Cancelled);
        if (isYoung)
        {
            bench.Upstream.PublishVersion("plain", "2.1.0");
        }

        bench.Sandbox.WriteManifest(new Dictionary<string, string> { ["plain"] = "^1.0.0" });
        await bench.InstallAsync(isFrozen: false, Cancelled);

        Assert.Equal("1.1.0", bench.Sandbox.Installed("plain"));
        Assert.Equal(1, bench.Relay.Requests.CountOf("/npm/plain"));
    }
}
