namespace NpmMirror.Storage;

/// <summary>
/// News of packages, told in one place. A cache subscribes where it is made and never asks how the news came: from a commit of this process, or through
/// the log from another.
/// </summary>
internal sealed class PackageNews
{
    /// <summary>
    /// A package was written, by this process or another; with the row's generation since. Of an own commit this is told before the commit returns, and once
    /// more through the log: a memory of that generation, or of a later one, is still right.
    /// </summary>
    public event Action<PackageName, long>? Changed;

    /// <summary>Writes in the meantime are not known: memories of any package are invalid.</summary>
    public event Action? AllChanged;

    /// <summary>An answer of the upstream was compared with a package's row, changed or not; with the moment when the upstream was asked.</summary>
    public event Action<PackageName, long>? Compared;

    /// <summary>The upstream's feed named a package: an earlier answer that it is absent counts no more.</summary>
    public event Action<PackageName>? Named;

    internal void TellChanged(PackageName name, long generation) => Changed?.Invoke(name, generation);

    internal void TellAllChanged() => AllChanged?.Invoke();

    internal void TellCompared(PackageName name, long askedAt) => Compared?.Invoke(name, askedAt);

    internal void TellNamed(PackageName name) => Named?.Invoke(name);
}
