using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using System.Text.Json;

namespace NpmMirror.Upstream;

/// <summary>
/// The classic list of everything, <c>/-/all</c>: one object with a member a package, hundreds of megabytes where it still
/// answers. Streamed; it tells no revs.
/// </summary>
internal sealed class AllPackagesList(RegistryClient client)
{
    // A readme is the longest text in it.
    private const int TextMaxBytes = 16 * 1024 * 1024;

    /// <summary>All names; where the answer breaks off, once more from its beginning, so that a name may come twice.</summary>
    internal async IAsyncEnumerable<ListedPackage> ReadAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var retry = client.NewRetry();
        for (var isWhole = false; !isWhole;)
        {
            await using var packages = UpstreamEdge.ReadAsync(client.BaseUrl, ReadOnceAsync(cancellationToken), cancellationToken).GetAsyncEnumerator(cancellationToken);
            while (true)
            {
                try
                {
                    isWhole = !await packages.MoveNextAsync();
                    if (isWhole)
                    {
                        break;
                    }
                }
                catch (MirrorException failure) when (failure.Fault is MirrorFault.UpstreamUnavailable or MirrorFault.UpstreamBusy)
                {
                    await retry.WaitAsync(failure, cancellationToken);
                    break;
                }

                yield return packages.Current;
            }
        }
    }

    private async IAsyncEnumerable<ListedPackage> ReadOnceAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var registry = new FeedRequests(client, client.BaseUrl);
        await using var answer = await registry.OpenAsync("/-/all", client.Transport.Options.Timeout, isEndless: true, cancellationToken);
        var pipe = FeedRequests.Pipe(answer);
        try
        {
            var state = new JsonReaderState(new JsonReaderOptions { MaxDepth = 256 });
            var names = new List<string>();
            while (true)
            {
                var result = await pipe.ReadAsync(cancellationToken);
                var read = Read(result, ref state, names, answer.Url);
                var isEndless = result.Buffer.Slice(read).Length > TextMaxBytes;
                pipe.AdvanceTo(read, result.Buffer.End);
                if (isEndless)
                {
                    throw UpstreamFailures.Malformed(answer.Url, $"has a text of more than {TextMaxBytes} bytes");
                }

                foreach (var name in names)
                {
                    yield return new ListedPackage(name, null);
                }

                names.Clear();
                if (result.IsCompleted)
                {
                    yield break;
                }
            }
        }
        finally
        {
            await pipe.CompleteAsync();
        }
    }

    private static SequencePosition Read(ReadResult result, ref JsonReaderState state, List<string> names, Uri url)
    {
        try
        {
            var reader = new Utf8JsonReader(result.Buffer, isFinalBlock: false, state);
            while (reader.Read())
            {
                // Depth 1: the member's name is the package's; "_updated" stands beside them.
                if (reader.TokenType == JsonTokenType.PropertyName && reader.CurrentDepth == 1 && reader.GetString() is { } name && name != "_updated")
                {
                    names.Add(name);
                }
            }

            if (result.IsCompleted && CutJson.IsOpen(reader))
            {
                throw UpstreamFailures.BrokenOff(url);
            }

            state = reader.CurrentState;
            return reader.Position;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            throw UpstreamFailures.Malformed(url, "is no list of packages");
        }
    }
}
