namespace NpmMirror.Following;

/// <summary>An event of a monitor: a closed family. As text each is one line: <c>+ name</c> new, <c>> name</c> changed, <c>- name</c> deleted, <c>@ sequence</c>.</summary>
public abstract record MonitorEvent
{
    private MonitorEvent()
    {
    }

    /// <summary>The first request for changes was accepted.</summary>
    public sealed record Started : MonitorEvent
    {
        /// <inheritdoc/>
        public override string ToString() => "Started...";
    }

    /// <summary>A request for changes goes out.</summary>
    public sealed record Polled(Sequence Since) : MonitorEvent
    {
        /// <inheritdoc/>
        public override string ToString() => $"? {Since}";
    }

    /// <summary>A package that was not there before.</summary>
    /// <param name="Package">The package.</param>
    /// <param name="Metadata">Its packument, upstream's raw bytes; a copy of the event's own.</param>
    public sealed record Appeared(PackageName Package, ReadOnlyMemory<byte> Metadata) : MonitorEvent
    {
        /// <inheritdoc/>
        public override string ToString() => $"+ {Package}";
    }

    /// <summary>A package that was there before changed.</summary>
    /// <param name="Package">The package.</param>
    /// <param name="Metadata">Its packument, upstream's raw bytes; a copy of the event's own.</param>
    public sealed record Updated(PackageName Package, ReadOnlyMemory<byte> Metadata) : MonitorEvent
    {
        /// <summary>Whether a version was published by the change; tags, owners and deprecations change a package too.</summary>
        public bool IsPublish { get; init; } = true;

        /// <inheritdoc/>
        public override string ToString() => $"> {Package}";
    }

    /// <summary>A package is gone.</summary>
    public sealed record Deleted(PackageName Package) : MonitorEvent
    {
        /// <inheritdoc/>
        public override string ToString() => $"- {Package}";
    }

    /// <summary>Everything up to the sequence was reported, or reported as an error and kept for retry.</summary>
    public sealed record Revised(Sequence LastSequence, int Changes) : MonitorEvent
    {
        /// <inheritdoc/>
        public override string ToString() => $"@ {LastSequence}";
    }

    /// <summary>Something failed; following goes on.</summary>
    public sealed record Failed(Exception Error, PackageName? Package) : MonitorEvent
    {
        /// <inheritdoc/>
        public override string ToString() => Package is { } package ? $"! {package}: {Error.Message}" : $"! {Error.Message}";
    }

    /// <summary>The last event.</summary>
    public sealed record Ended : MonitorEvent
    {
        /// <inheritdoc/>
        public override string ToString() => "Terminated.";
    }
}
