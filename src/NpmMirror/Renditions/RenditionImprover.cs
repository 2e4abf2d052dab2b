namespace NpmMirror.Renditions;

/// <summary>
/// Compresses a rendition once more, and harder, on its second request: the first client should not wait, and most documents have no second one.
/// The ETag stays: it is of the document, not of the level. One at a time, so that many second requests leave the machine to their third.
/// </summary>
internal sealed class RenditionImprover(Renditions renditions, Action<long> account) : IDisposable
{
    private const int WaitingMax = 64;

    // A body of a few packets travels no faster for being smaller.
    private const int WorthwhileBytes = 4 * 1024;

    private readonly SemaphoreSlim _turn = new(1);
    private int _waiting;
    private long _improvedCount;

    /// <summary>How many were compressed once more.</summary>
    internal long ImprovedCount => Interlocked.Read(ref _improvedCount);

    /// <summary>How many are compressed once more now, or wait for their turn. A use counts before its answer is sent.</summary>
    internal int UnderwayCount => Volatile.Read(ref _waiting);

    /// <inheritdoc/>
    public void Dispose() => _turn.Dispose();

    /// <summary>From now on the next use of a rendition that is held improves it, if that is worth something.</summary>
    internal void Watch(Rendition rendition)
    {
        if (rendition.Key.Coding is ContentCoding.Gzip or ContentCoding.Brotli && rendition.Body?.Length > WorthwhileBytes)
        {
            rendition.AtNextUse(Begin);
        }
    }

    private void Begin(Rendition rendition)
    {
        if (Interlocked.Increment(ref _waiting) > WaitingMax)
        {
            // A later use tries again.
            Interlocked.Decrement(ref _waiting);
            Watch(rendition);
            return;
        }

        _ = Task.Run(() => ImproveAsync(rendition));
    }

    private async Task ImproveAsync(Rendition rendition)
    {
        try
        {
            await _turn.WaitAsync();
            try
            {
                if (!rendition.Package.IsDropped && rendition.Body is { } quick
                    && await renditions.MakeAsync(rendition.Package.Row, rendition.Key, RenditionEffort.Thorough, CancellationToken.None) is { } thorough
                    && thorough.Length < quick.Length)
                {
                    account(rendition.Replace(quick, thorough));
                    Interlocked.Increment(ref _improvedCount);
                }
            }
            finally
            {
                _turn.Release();
            }
        }
        catch (Exception e) when (e is MirrorException or ObjectDisposedException)
        {
            // The quickly compressed one is as right; a client that waits meets the store's trouble elsewhere.
        }
        finally
        {
            Interlocked.Decrement(ref _waiting);
        }
    }
}
