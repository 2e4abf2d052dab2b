using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using System.Text.Json;
using NpmMirror.Upstream;

namespace NpmMirror.Feeds;

/// <summary>
/// The classic list of everything, <c>/-/all</c>: one object with a member a package, hundreds of megabytes where it still
/// answers. Streamed; it tells no revs, but when each package changed last.
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
            var packages = new PackagesReader();
            while (true)
            {
                var result = await pipe.ReadAsync(cancellationToken);
                var read = Read(result, ref state, packages, answer.Url);
                var isEndless = result.Buffer.Slice(read).Length > TextMaxBytes;
                pipe.AdvanceTo(read, result.Buffer.End);
                if (isEndless)
                {
                    throw UpstreamFailures.Malformed(answer.Url, $"has a text of more than {TextMaxBytes} bytes");
                }

                foreach (var package in packages.Take())
                {
                    yield return package;
                }

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

    private static SequencePosition Read(ReadResult result, ref JsonReaderState state, PackagesReader packages, Uri url)
    {
        try
        {
            var reader = new Utf8JsonReader(result.Buffer, isFinalBlock: false, state);
            while (reader.Read())
            {
                packages.Read(ref reader);
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

    /// <summary>Finds each package and its <c>time.modified</c> among the tokens, in pieces of any length.</summary>
    private sealed class PackagesReader
    {
        private List<ListedPackage> _whole = [];
        private string? _name;
        private DateTimeOffset? _modifiedAt;
        private bool _isInTime, _isModified;

        internal void Read(ref Utf8JsonReader reader)
        {
            switch (reader.TokenType, reader.CurrentDepth)
            {
                // The member's name is the package's; "_updated" stands beside them.
                case (JsonTokenType.PropertyName, 1):
                    End();
                    _name = reader.GetString() is { } name && name != "_updated" ? name : null;
                    break;
                case (JsonTokenType.PropertyName, 2):
                    _isInTime = reader.ValueTextEquals("time"u8);
                    break;
                case (JsonTokenType.PropertyName, 3):
                    _isModified = _isInTime && reader.ValueTextEquals("modified"u8);
                    break;
                case (JsonTokenType.String, 3) when _isModified:
                    _modifiedAt = reader.TryGetDateTimeOffset(out var modified) ? modified : null;
                    break;
                case (JsonTokenType.EndObject, 0):
                    End();
                    break;
            }
        }

        /// <summary>The packages that were read to their end since the last call.</summary>
        internal List<ListedPackage> Take()
        {
            var whole = _whole;
            _whole = [];
            return whole;
        }

        private void End()
        {
            if (_name is not null)
            {
                _whole.Add(new ListedPackage(_name, null) { ModifiedAt = _modifiedAt });
            }

            (_name, _modifiedAt, _isInTime, _isModified) = (null, null, false, false);
        }
    }
}
