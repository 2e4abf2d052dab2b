using System.Text.Json;
using NpmMirror.Upstream;

namespace NpmMirror.Feeds;

/// <summary>Finds a mirror that is pointed at itself under another name, before it waits for its own answers.</summary>
internal static class UpstreamSelfCheck
{
    /// <summary>
    /// Asks the upstream's front page, once this mirror answers requests itself, whether it is this mirror or one that leads back here.
    /// An upstream that is away, or no mirror, passes.
    /// </summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.Configuration"/>: it is.</exception>
    public static async Task CheckAsync(RegistryClient client, CancellationToken cancellationToken)
    {
        try
        {
            var requests = new FeedRequests(client, client.BaseUrl);
            if (!await requests.GetJsonAsync("/", info => client.Transport.Options.InstanceId is { } own && Names(info, own), cancellationToken))
            {
                return;
            }
        }
        // A request that carries our own id is answered by us with 508, which is a fault of the configuration already.
        catch (MirrorException exception) when (exception.Fault != MirrorFault.Configuration)
        {
            return;
        }

        throw new MirrorException(
            MirrorFault.Configuration,
            $"The upstream {UpstreamFailures.Where(client.BaseUrl)} is this mirror itself, or gets its packages from it; give --upstream the registry to mirror.");
    }

    /// <summary>Any member may name an instance: the upstream's own, or one that it leads to.</summary>
    private static bool Names(JsonElement info, string instance) =>
        info.ValueKind == JsonValueKind.Object
        && info.EnumerateObject().Any(member => member.Value.ValueKind == JsonValueKind.String && member.Value.ValueEquals(instance));
}
