namespace NpmMirror.Upstream;

/// <summary>The patience of a request that nobody waits for, until somebody comes to wait for it: then it stands in no line any more.</summary>
internal sealed class Patience : IDisposable
{
    private readonly CancellationTokenSource _ended = new();

    /// <summary>Cancelled when somebody waits.</summary>
    internal CancellationToken Ended => _ended.Token;

    /// <summary>Somebody waits for it from now on.</summary>
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
