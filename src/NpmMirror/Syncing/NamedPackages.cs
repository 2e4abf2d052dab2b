using NpmMirror.Storage;

namespace NpmMirror.Syncing;

/// <summary>Queues packages that are known by name, without a list of the upstream's to compare with: those listed by hand, those held.</summary>
internal sealed class NamedPackages(IPackageTable packages, SyncQueue queue, TimeProvider time)
{
    /// <summary>Queues these.</summary>
    public Task QueueAsync(IEnumerable<PackageName> names, CancellationToken cancellationToken) => new BulkQueue(queue, time).AddAllAsync(names.ToAsyncEnumerable(), cancellationToken);

    /// <summary>Queues these for an administrator who named them: held documents and caches do not count.</summary>
    public Task QueueDemandedAsync(IEnumerable<PackageName> names, CancellationToken cancellationToken) =>
        new BulkQueue(queue, time, QueuePriority.Demand).AddAllAsync(names.ToAsyncEnumerable(), cancellationToken);

    /// <summary>Queues those of the names that are not held.</summary>
    public Task QueueMissingAsync(IEnumerable<PackageName> names, CancellationToken cancellationToken) =>
        new BulkQueue(queue, time).AddAllAsync(names.ToAsyncEnumerable().Where(async (name, token) => await packages.FindAsync(name, token) is null), cancellationToken);

    /// <summary>Queues all packages held.</summary>
    public Task QueueHeldAsync(CancellationToken cancellationToken) =>
        new BulkQueue(queue, time).AddAllAsync(packages.ListMarksAsync("", isRemoved: false, cancellationToken).Select(mark => mark.Name), cancellationToken);
}
