using Microsoft.Extensions.Logging;
using NpmMirror.Storage;

namespace NpmMirror.Mirroring;

public sealed partial class RegistryMirror
{
    /// <summary>Follows and stores, in one call, for a program that has no host.</summary>
    /// <param name="options">What to mirror and how. Without an upstream: the registry that npm is configured for.</param>
    /// <param name="store">An opened store, which stays the caller's; null: what <see cref="MirrorOptions.Store"/> names, of the engines that the library has, or a module.</param>
    /// <param name="blobs">Where tarballs go; null: files below <see cref="MirrorOptions.Data"/>.</param>
    /// <param name="loggers">Where it logs, the monitor under <c>NpmMirror.Monitor</c>, the mirror under <c>NpmMirror.Mirror</c>; null: nowhere.</param>
    /// <param name="cancellationToken">Ends the starting.</param>
    /// <exception cref="MirrorException"><see cref="MirrorFault.Configuration"/>: the options have faults, all of which the message tells; or the store refuses.</exception>
    /// <example>
    /// <code>
    /// await using var running = await RegistryMirror.StartAsync(new MirrorOptions { Upstream = "https://registry.example.org/", Metadata = MetadataMode.All }, store);
    /// await foreach (var told in running.Log.FollowAsync(LogPosition.Zero, cancellationToken))
    /// {
    ///     Console.WriteLine($"{told.Position} {told.Package} {told.GetType().Name}");
    /// }
    /// </code>
    /// </example>
    public static Task<RunningMirror> StartAsync(
        MirrorOptions options, IMetadataStore? store = null, IBlobStore? blobs = null, ILoggerFactory? loggers = null, CancellationToken cancellationToken = default) =>
        RunningMirror.StartAsync(options, store, blobs, loggers, cancellationToken);
}
