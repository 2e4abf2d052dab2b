using System.Net;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Clients;

/// <summary>The fence around the clients holds: otherwise an install that works would prove nothing.</summary>
[Collection("Clients")]
public sealed class ClientSandboxTests
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public static TheoryData<string> Clients => new(PackageClient.All.Select(client => client.Tool));

    [Claim("No client can reach anything but 127.0.0.1",
        Red = "`NO_PROXY` names 127.0.0.2 too (npm; the others are skipped where they are not installed)")]
    [Theory]
    [MemberData(nameof(Clients))]
    public async Task A_client_cannot_reach_a_registry_that_is_not_at_127_0_0_1(string tool)
    {
        Assert.SkipUnless(TestTools.Has(tool), TestTools.Missing(tool));
        var client = PackageClient.Named(tool);
        await using var upstream = await FakeRegistry.StartAsync(cancellationToken: Cancelled);
        await using var elsewhere = await ClientRelay.StartAsync(IPAddress.Parse("127.0.0.2"), Cancelled);
        elsewhere.Target = upstream.Url;
        upstream.PublicUrl = elsewhere.Url;
        ClientPackages.PublishTo(upstream);
        using var sandbox = new ClientSandbox();
        client.Configure(sandbox, elsewhere.Url);
        sandbox.WriteManifest(new Dictionary<string, string> { ["plain"] = "1.0.0" });

        var run = await client.InstallAsync(sandbox, isFrozen: false, Cancelled);

        Assert.NotEqual(0, run.ExitCode);
        Assert.Empty(elsewhere.Requests.All);
    }
}
