using System.Text;
using NpmMirror.Hosting;
using NpmMirror.Packuments;
using NpmMirror.Storage;

namespace NpmMirror.Page.Packages;

/// <summary>Reads held packages for the page, by the rules of what readers may see. It never asks the upstream: looking at a page brings no package here.</summary>
internal sealed class PackageReader(Mirror mirror)
{
    private const int TarballsMax = 20_000;

    /// <summary>Reads a package, if it is held and may be seen, and shows it.</summary>
    /// <param name="name">The package.</param>
    /// <param name="show">Makes the page's values of the document, which is gone afterwards.</param>
    /// <param name="cancellationToken">Cancels.</param>
    /// <exception cref="MirrorException">The store is in trouble, or the stored document is damaged and will be fetched again.</exception>
    internal async ValueTask<PackageAnswer<T>> ReadAsync<T>(PackageName name, Func<HeldPackage, T> show, CancellationToken cancellationToken)
        where T : class
    {
        return await mirror.DocumentRepair.ReadAsync<PackageAnswer<T>>(
            name,
            async () =>
            {
                if (await mirror.Store.Packages.ReadAsync(name, cancellationToken) is not { } stored)
                {
                    return new PackageAnswer<T>(null, 404, $"{name} is not held here. The first client that asks the registry for it brings it, if this mirror may hold it.");
                }

                if (mirror.Visibility.Rules.Of(stored.Row) is { } hidden)
                {
                    return new PackageAnswer<T>(null, hidden.Status, hidden.Reason);
                }

                var isPastShown = mirror.Visibility.Rules.OfPast(stored.Row) is null;
                var tarballs = await mirror.Store.Tarballs.ListTarballsAsync(name, cancellationToken).Where(tarball => tarball.State == TarballState.Held).Take(TarballsMax).ToListAsync(cancellationToken);
                using var raw = await DocumentCodecs.DecodeAsync(name, stored.Document, mirror.Budget, cancellationToken);
                return new PackageAnswer<T>(show(new HeldPackage(stored.Row, PackumentIndex.FromBytes(stored.Row.Index.Span, name), raw, tarballs, isPastShown)), 200, null);
            },
            cancellationToken);
    }
}

/// <summary>What is shown of a package, or why nothing is.</summary>
internal sealed record PackageAnswer<T>(T? Shown, int Status, string? Reason)
    where T : class;

/// <summary>A held package that may be seen, while its document is at hand.</summary>
/// <param name="Row">Its row.</param>
/// <param name="Index">The index of the document.</param>
/// <param name="Raw">The document.</param>
/// <param name="Tarballs">Its stored tarballs.</param>
/// <param name="IsPastShown">Whether removed versions may be seen.</param>
internal sealed record HeldPackage(PackageRow Row, PackumentIndex Index, RawDocument Raw, IReadOnlyList<TarballRow> Tarballs, bool IsPastShown)
{
    // A readme longer than this is not decoded: the registry cuts readmes at 64 KB.
    private const int TextMaxBytes = 1024 * 1024;

    /// <summary>The text of a value, or null if it is no text, or longer than any that is shown.</summary>
    internal string? Text(Slice value) => !value.IsEmpty && value.Length <= TextMaxBytes && Raw.Bytes[value.Offset] == '"' ? JsonText.Read(value.Of(Raw.Bytes)) : null;

    /// <summary>A member of an object.</summary>
    internal Slice Find(Slice value, string member) => JsonMembers.Find(Raw.Bytes, value, Encoding.UTF8.GetBytes(member));

    /// <summary>The members of the document itself.</summary>
    internal OrderedDictionary<string, Slice> Top => JsonMembers.ReadTop(Raw.Bytes, Index.VersionsValue);

    /// <summary>The tarball of a version, if it is stored and may be seen.</summary>
    internal TarballRow? TarballOf(string version) => Tarballs.FirstOrDefault(tarball => tarball.Version == version && (IsPastShown || Index.Find(version) is not null));
}
