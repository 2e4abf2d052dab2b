using NpmMirror.Packuments;

namespace NpmMirror.Tarballs;

/// <summary>One tarball as its packument describes it.</summary>
internal sealed record TarballRequest(PackageName Package, VersionEntry Version, string UpstreamUrl, TarballPromise Promise)
{
    /// <summary>The file name, as this mirror spells it: with the package the tarball's key everywhere.</summary>
    internal string File { get; } = TarballUrls.FileName(Package, Version.Version);

    /// <summary>Whether it is fetched although it has a row: its bytes were found damaged or gone.</summary>
    internal bool IsRepair { get; init; }

    /// <summary>Whether the bytes that come replace other bytes that the row names.</summary>
    internal bool IsReplacement { get; init; }

    /// <summary>For messages.</summary>
    internal string Name => $"{Package}/{File}";

    /// <summary>The SHA-512 the bytes will have if they are right; empty if the manifest promises none or several.</summary>
    internal Digest PromisedSha512 { get; } = Promise.Sha512;

    /// <summary>Whether the manifest promises a hash that can be checked.</summary>
    internal bool IsPromised
    {
        get
        {
            using var check = new IntegrityCheck(Promise);
            return check.IsPromised;
        }
    }

    /// <summary>Where the upstream keeps it. Some registries write an address that is relative to the packument's.</summary>
    /// <exception cref="MirrorException">The packument's <c>dist.tarball</c> is no address.</exception>
    internal Uri ParseUrl(Uri packument) => HeaderValues.Address(UpstreamUrl, packument)
        ?? throw new MirrorException(MirrorFault.UpstreamMalformed, $"The packument gives {MirrorException.Quote(UpstreamUrl)} as the address of tarball {Name}, which is none.");
}
