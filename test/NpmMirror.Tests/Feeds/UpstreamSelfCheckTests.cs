using NpmMirror.Feeds;
using NpmMirror.Tests.Upstream;

namespace NpmMirror.Tests.Feeds;

public sealed class UpstreamSelfCheckTests
{
    [Claim("A mirror that leads back to itself under another name says so",
        Red = "`UpstreamSelfCheck.CheckAsync` returns at once")]
    [Theory]
    [InlineData("""{"db_name":"npm","uuid":"this-mirror"}""", 200)]
    [InlineData("""{"upstream_uuid":"this-mirror","uuid":"another"}""", 200)]
    [InlineData("""{"error":"a circle"}""", 508)]
    public async Task An_upstream_that_leads_back_here_is_a_fault_of_the_configuration(string body, int status)
    {
        await using var peer = new LoopbackPeer(_ => LoopbackPeer.Answer(status, body));
        using var client = RegistryClientTests.Client(peer);
        var failure = await Assert.ThrowsAsync<MirrorException>(() => UpstreamSelfCheck.CheckAsync(client, TestContext.Current.CancellationToken));
        Assert.Equal(MirrorFault.Configuration, failure.Fault);
    }

    [Theory]
    [InlineData("""{"uuid":"another"}""", 200)]
    [InlineData("[]", 200)]
    [InlineData("<html>", 200)]
    [InlineData("{}", 404)]
    [InlineData("{}", 503)]
    public async Task Any_other_upstream_passes(string body, int status)
    {
        await using var peer = new LoopbackPeer(_ => LoopbackPeer.Answer(status, body));
        using var client = RegistryClientTests.Client(peer);
        await UpstreamSelfCheck.CheckAsync(client, TestContext.Current.CancellationToken);
    }
}
