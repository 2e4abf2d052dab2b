using System.Runtime.CompilerServices;

namespace NpmMirror.Upstream;

/// <summary>
/// The edge of this folder: only a <see cref="MirrorException"/> or the caller's cancellation passes. Exceptions of parsers and .NET's client
/// over a stranger's answer are that stranger's failure, and must end no loop and no process.
/// </summary>
internal static class UpstreamEdge
{
    /// <summary>Runs a request to the upstream.</summary>
    /// <exception cref="MirrorException">Any failure.</exception>
    internal static async Task<T> RunAsync<T>(Uri url, Func<Task<T>> ask, CancellationToken cancellationToken)
    {
        try
        {
            return await ask();
        }
        catch (Exception exception) when (!Passes(exception, cancellationToken))
        {
            throw Explain(url, exception);
        }
    }

    /// <summary>Reads an answer that comes item by item.</summary>
    /// <exception cref="MirrorException">Any failure.</exception>
    internal static async IAsyncEnumerable<T> ReadAsync<T>(Uri url, IAsyncEnumerable<T> items, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var reader = items.GetAsyncEnumerator(cancellationToken);
        while (await RunAsync(url, () => reader.MoveNextAsync().AsTask(), cancellationToken))
        {
            yield return reader.Current;
        }
    }

    /// <summary>The meaning of a failure of unknown kind for the caller.</summary>
    internal static MirrorException Explain(Uri url, Exception exception) => exception is OperationCanceledException
        ? UpstreamFailures.TimedOut(url, "did not answer in time")
        : UpstreamFailures.Malformed(url, $"cannot be read ({exception.GetType().Name}: {MirrorException.Quote(exception.Message)})", inner: exception);

    /// <summary>A client that was disposed is no answer of the upstream: the process is ending.</summary>
    private static bool Passes(Exception exception, CancellationToken cancellationToken) =>
        exception is MirrorException or ObjectDisposedException || (exception is OperationCanceledException && cancellationToken.IsCancellationRequested);
}
