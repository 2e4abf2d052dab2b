using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Hosting;
using NpmMirror.AspNetCore.Answers;
using NpmMirror.AspNetCore.Connections;
using NpmMirror.AspNetCore.Feeds;

namespace NpmMirror.Page.State;

/// <summary>
/// Answers <c>/api/sse</c>: the mirror's state as server-sent events, <c>{"Id": …, "Status": 1, "Message": …}</c>: 1 it works, 2 it waits, 3 trouble. The last state comes
/// at once, each later one when it changes.
/// </summary>
internal sealed class LiveStates(StateReader states, Func<bool> isWorking, string id, IHostApplicationLifetime lifetime, TimeProvider time)
{
    /// <summary>The most readers at once. More are answered with 503.</summary>
    internal const int ReadersMax = 200;

    internal const int Working = 1;
    internal const int Waiting = 2;
    internal const int Trouble = 3;

    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan BeatEvery = TimeSpan.FromSeconds(15);

    // Every reader reconnects now and then: neither a proxy nor an operator could end a connection that lives for ever.
    private static readonly TimeSpan HoldMax = TimeSpan.FromHours(24);

    private int _readers;

    internal async Task HandleAsync(HttpContext context)
    {
        try
        {
            if (Interlocked.Increment(ref _readers) > ReadersMax)
            {
                await RegistryErrors.WriteAsync(context, StatusCodes.Status503ServiceUnavailable, $"{ReadersMax} readers follow the state of this mirror, which is the limit; ask again.", TimeSpan.FromSeconds(30));
                return;
            }

            using var body = FeedBody.Of(context, "text/event-stream", time);
            context.Response.Headers["X-Accel-Buffering"] = "no";
            if (!HttpMethods.IsHead(context.Request.Method))
            {
                using var ending = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, lifetime.ApplicationStopping);
                await WriteAsync(body, ending.Token);
            }
        }
        catch (OperationCanceledException) when (lifetime.ApplicationStopping.IsCancellationRequested)
        {
            // The server ends, and the answer with it.
        }
        finally
        {
            Interlocked.Decrement(ref _readers);
        }
    }

    private async Task WriteAsync(FeedBody body, CancellationToken cancellationToken)
    {
        var (begun, written) = (time.GetTimestamp(), time.GetTimestamp());
        (int Status, string Message)? last = null;
        while (time.GetElapsedTime(begun) < HoldMax)
        {
            var now = await StateAsync(cancellationToken);
            if (now != last)
            {
                body.Text("data: "u8);
                body.Text(JsonSerializer.SerializeToUtf8Bytes(new OlderState(id, now.Status, now.Message), PageJson.Default.OlderState));
                body.Text("\n\n"u8);
                (last, written) = (now, time.GetTimestamp());
            }
            else if (time.GetElapsedTime(written) >= BeatEvery)
            {
                body.Text(": waiting\n\n"u8);
                written = time.GetTimestamp();
            }

            if (!await body.FlushAsync(isUrgent: true))
            {
                return;
            }

            await WaitAsync(body.Client, cancellationToken);
        }
    }

    private async Task WaitAsync(ClientConnection? client, CancellationToken cancellationToken)
    {
        client?.SetWaiting(true);
        try
        {
            await Task.Delay(LookEvery, time, cancellationToken);
        }
        finally
        {
            client?.SetWaiting(false);
        }
    }

    private async ValueTask<(int Status, string Message)> StateAsync(CancellationToken cancellationToken)
    {
        try
        {
            var health = (await states.FindAsync(cancellationToken)).Health;
            return (health.Level == HealthLevel.Trouble ? Trouble : isWorking() ? Working : Waiting, health.Line);
        }
        catch (MirrorException failure)
        {
            return (Trouble, Words.Plain(failure.Message));
        }
    }
}

/// <summary>A state as older readers know it.</summary>
/// <param name="Id">The mirror.</param>
/// <param name="Status">1 it works, 2 it waits, 3 trouble.</param>
/// <param name="Message">A line for people.</param>
internal sealed record OlderState(string Id, int Status, string Message);
