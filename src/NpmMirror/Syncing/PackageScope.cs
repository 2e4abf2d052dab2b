using System.IO.Enumeration;
using System.Security.Cryptography;
using System.Text;
using NpmMirror.Options;

namespace NpmMirror.Syncing;

/// <summary>Which packages a mirror wants: from the metadata mode and the list of names and globs.</summary>
internal sealed class PackageScope
{
    private readonly HashSet<string> _names = new(StringComparer.Ordinal);
    private readonly List<string> _globs = [];
    private readonly bool _isEager;

    /// <summary>Reads the mode and the list; a list entry <c>@file</c>, if no scope is meant, is read from that file, one name a line.</summary>
    /// <exception cref="MirrorException">The list cannot be read or has an entry that is neither a name nor a glob.</exception>
    public PackageScope(MirrorOptions options)
    {
        Mode = options.Metadata;
        _isEager = options.Tarballs == TarballMode.Eager;
        foreach (var entry in options.List.SelectMany(Expand))
        {
            if (entry.AsSpan().ContainsAny('*', '?'))
            {
                _globs.Add(entry);
            }
            else
            {
                _names.Add(PackageName.Parse(entry).Value);
            }
        }
    }

    /// <summary>The metadata mode.</summary>
    public MetadataMode Mode { get; }

    /// <summary>The listed names that are no globs.</summary>
    public IEnumerable<PackageName> Names => _names.Select(PackageName.Parse);

    /// <summary>Whether the list has this very name.</summary>
    public bool IsNamed(PackageName name) => _names.Contains(name.Value);

    /// <summary>Whether the list has globs, which only a walk over the upstream's list can resolve.</summary>
    public bool HasGlobs => _globs.Count > 0;

    /// <summary>Names the packages that are wanted ahead: another text if the mode or the list is another, or tarballs are wanted ahead too.</summary>
    public string Fingerprint
    {
        get
        {
            var entries = _names.Concat(_globs).Order(StringComparer.Ordinal);
            return $"{Mode}:{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\n', entries))))}{(_isEager ? ":eager" : "")}";
        }
    }

    /// <summary>Whether a package is held before a client asks for it.</summary>
    public bool IsWantedAhead(PackageName name) => Mode switch
    {
        MetadataMode.All => true,
        MetadataMode.Used => false,
        _ => IsListed(name),
    };

    /// <summary>Whether a package that is not held may be fetched because a client asks for it.</summary>
    public bool IsReadThrough(PackageName name) => Mode != MetadataMode.Listed || IsListed(name);

    private bool IsListed(PackageName name) =>
        _names.Contains(name.Value) || _globs.Exists(glob => FileSystemName.MatchesSimpleExpression(glob, name.Value, ignoreCase: false));

    private static IEnumerable<string> Expand(string entry)
    {
        // "@scope/name" is a name; "@packages.txt" and "@./lists/mine" are files.
        if (!entry.StartsWith('@') || PackageName.TryParse(entry, out _) || entry.Contains('*', StringComparison.Ordinal))
        {
            return [entry];
        }

        try
        {
            return File.ReadLines(entry[1..]).Select(line => line.Trim()).Where(line => line.Length > 0 && !line.StartsWith('#')).ToList();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new MirrorException(MirrorFault.Configuration, $"The list {MirrorException.Quote(entry)} cannot be read ({e.Message}); name an existing file with one package a line.", inner: e);
        }
    }
}
