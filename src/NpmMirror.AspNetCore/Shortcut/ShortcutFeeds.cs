using System.Buffers;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using NpmMirror.AspNetCore.Answers;
using NpmMirror.AspNetCore.Connections;
using NpmMirror.AspNetCore.Feeds;
using NpmMirror.AspNetCore.Routing;

namespace NpmMirror.AspNetCore.Shortcut;

/// <summary>
/// Answers followers on the connection: a client that waits for the next change, for hours and by the thousand, needs only a socket.
/// Only if a connection begins with such requests; from the first other one on it is the server's.
/// </summary>
internal sealed class ShortcutFeeds(RouteParser routes, PublicAddresses addresses, ChangesEndpoint changes, CrossOriginPolicy crossOrigin, AnswerMetrics metrics, TimeProvider time)
{
    /// <summary>Where the connections' answers are counted.</summary>
    internal AnswerMetrics Metrics { get; } = metrics;

    private readonly byte[] _crossOrigin = Encoding.ASCII.GetBytes(crossOrigin.Lines);

    /// <summary>A connection that is silent for so long is the server's, which has limits for that.</summary>
    private static readonly TimeSpan FirstBytesWait = TimeSpan.FromSeconds(5);

    /// <summary>Serves the requests that are ours. Then either the next request lies there unread, or the connection is over.</summary>
    internal async Task ServeAsync(ConnectionContext connection, Socket socket, StallLimit stall, DateLine date, CancellationToken stopping)
    {
        var left = connection.ConnectionClosed;
        try
        {
            while (!stopping.IsCancellationRequested && await FindAsync(connection, left) is { } query)
            {
                await AnswerAsync(connection, socket, stall, query, date, left);
            }
        }
        catch (OperationCanceledException) when (left.IsCancellationRequested)
        {
            // The client left; it does not read an answer.
        }
        catch (Exception e) when (e is MirrorException or ObjectDisposedException)
        {
            // A half-written answer must not look whole.
            connection.Abort(new ConnectionAbortedException("The feed cannot be read.", e));
        }
    }

    private async Task AnswerAsync(ConnectionContext connection, Socket socket, StallLimit stall, ChangesQuery query, DateLine date, CancellationToken left)
    {
        var client = connection.Features.Get<ClientConnection>();
        client?.Begin();
        try
        {
            var chunks = new ChunkedWriter(socket);
            var writer = new PatientWriter(chunks, stall, connection.Abort);
            using var body = new FeedBody(writer, left) { Client = client };
            chunks.Begin(date.Now(), _crossOrigin);
            await changes.AnswerAsync(query, "", body, left);
            var ending = chunks.EndAsync();
            await stall.WaitAsync(ending, connection.Abort, CancellationToken.None);
            await ending;
            Metrics.CountShortcut(RegistryRoute.ChangesPattern, StatusCodes.Status200OK, writer.WrittenBytes);
        }
        finally
        {
            client?.End();
        }
    }

    /// <summary>The request that comes next, when it is ours; else it stays unread.</summary>
    private async ValueTask<ChangesQuery?> FindAsync(ConnectionContext connection, CancellationToken left)
    {
        var input = connection.Transport.Input;
        if (!input.TryRead(out var read))
        {
            using var patience = new CancellationTokenSource(FirstBytesWait, time);
            try
            {
                read = await input.ReadAsync(patience.Token);
            }
            catch (OperationCanceledException)
            {
                return null;
            }

            // Off the loop that receives for this connection: it notices a client that leaves.
            await Task.Yield();
        }

        var query = Look(read.Buffer, (connection.LocalEndPoint as IPEndPoint)?.Address, out var length);
        try
        {
            // While nothing has been taken or sent, the server reports failures.
            query = query is null || read.IsCompleted ? null : await changes.PlaceAsync(query, left);
        }
        catch (Exception e) when (e is MirrorException or ObjectDisposedException)
        {
            query = null;
        }

        input.AdvanceTo(query is null ? read.Buffer.Start : read.Buffer.GetPosition(length));
        return query;
    }

    private ChangesQuery? Look(in ReadOnlySequence<byte> buffer, IPAddress? local, out int length)
    {
        length = 0;
        var bytes = buffer.FirstSpan;
        var end = bytes.IndexOf("\r\n\r\n"u8);
        if (end < 0 || bytes.IndexOf("/_changes?"u8) < 0)
        {
            return null;
        }

        length = end + 4;
        if (RequestHead.Read(bytes[..length], out var head) != RequestKind.Simple || !addresses.IsServed(Encoding.ASCII.GetString(head.Host), local))
        {
            return null;
        }

        var target = Encoding.ASCII.GetString(head.Target);
        if (routes.Parse(target, out _) is not RegistryRoute.Changes)
        {
            return null;
        }

        var asked = QueryHelpers.ParseQuery(target[target.IndexOf('?', StringComparison.Ordinal)..]);
        return ChangesQuery.Parse(new QueryCollection(asked), null, null, out _) is { Feed: not ChangesFeed.Normal, IncludesDocs: false } query ? query : null;
    }
}
