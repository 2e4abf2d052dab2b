namespace NpmMirror.Upstream;

/// <summary>The patience of a request without a waiting client, until one comes: then it does not wait in a queue any more.</summary>
internal sealed class Patience : IDisposable
{
    private readonly CancellationTokenSource _ended = new();

    /// <summary>Cancelled when a client waits.</summary>
    internal CancellationToken Ended => _ended.Token;

    /// <summary>A client waits for it from now on.</summary>
    internal void End()
    {
        try
        {
            _ended.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The request ended at this moment.
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _ended.Dispose();
}
