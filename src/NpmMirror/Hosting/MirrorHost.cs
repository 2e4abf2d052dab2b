using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace NpmMirror.Hosting;

/// <summary>Gives a mirror a host's life: opened before anything else of the host starts, stopped with it, closed when its services are.</summary>
internal sealed class MirrorHost(MirrorBuilder builder, ILoggerFactory loggers, TimeProvider time, IHostApplicationLifetime lifetime) : IHostedLifecycleService, IAsyncDisposable
{
    private Mirror? _mirror;

    /// <summary>The mirror.</summary>
    /// <exception cref="InvalidOperationException">The host has not been started.</exception>
    internal Mirror Mirror => _mirror ?? throw new InvalidOperationException("The mirror is opened when its host starts: ask for it after that. A background service takes IServiceProvider, and asks for Mirror when it runs.");

    public async Task StartingAsync(CancellationToken cancellationToken) => _mirror = await builder.UseHost(loggers, time).OpenAsync(isFollowing: true, cancellationToken);

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await Mirror.StartAsync(cancellationToken);
        _ = Mirror.Failed.ContinueWith(_ => lifetime.StopApplication(), CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
    }

    public Task StopAsync(CancellationToken cancellationToken) => _mirror?.StopAsync(cancellationToken) ?? Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public ValueTask DisposeAsync() => _mirror?.DisposeAsync() ?? ValueTask.CompletedTask;
}
