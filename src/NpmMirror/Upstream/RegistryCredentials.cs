namespace NpmMirror.Upstream;

/// <summary>
/// Values of the <c>Authorization</c> header by address prefix, as npm keeps them: <c>//host/path/</c>, the longest prefix wins.
/// Never printed.
/// </summary>
internal sealed class RegistryCredentials
{
    private readonly Dictionary<string, string> _headersByPrefix;

    /// <summary>Takes the headers by prefix, for example <c>//registry.example.org/npm/</c> and <c>Bearer …</c>.</summary>
    public RegistryCredentials(IEnumerable<KeyValuePair<string, string>> headersByPrefix)
    {
        _headersByPrefix = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        foreach (var (prefix, header) in headersByPrefix)
        {
            _headersByPrefix[prefix.TrimEnd('/') + "/"] = header;
        }
    }

    /// <summary>No credentials.</summary>
    public static RegistryCredentials None { get; } = new([]);

    /// <summary>The header for an address, or null.</summary>
    public string? HeaderFor(Uri url)
    {
        if (_headersByPrefix.Count == 0)
        {
            return null;
        }

        // Uri.Authority leaves a default port out, as npm's keys do.
        var path = $"//{url.Authority}{url.AbsolutePath}";
        for (var end = path.Length; end > 2; end = path.LastIndexOf('/', end - 1))
        {
            if (_headersByPrefix.TryGetValue(path[..end].TrimEnd('/') + "/", out var header))
            {
                return header;
            }
        }

        return null;
    }

    /// <summary>Whether there is any credential for a host (of any port, if none is named), at any path.</summary>
    internal bool HasAnyFor(string host) =>
        _headersByPrefix.Keys.Any(prefix => prefix.StartsWith($"//{host}/", StringComparison.OrdinalIgnoreCase) || prefix.StartsWith($"//{host}:", StringComparison.OrdinalIgnoreCase));

    /// <summary>These and one more.</summary>
    public RegistryCredentials With(Uri address, string header) =>
        new(_headersByPrefix.Append(KeyValuePair.Create($"//{address.Authority}{address.AbsolutePath}", header)));

    /// <summary>Tells their number, never their values.</summary>
    public override string ToString() => $"{_headersByPrefix.Count} credentials";
}
