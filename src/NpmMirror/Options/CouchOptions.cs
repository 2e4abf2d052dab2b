namespace NpmMirror.Options;

/// <summary>A CouchDB by its parts, as the older tool had them: it gives the feed and the documents.</summary>
public sealed class CouchOptions
{
    /// <summary>The host, with or without a scheme.</summary>
    public string? Host { get; set; }

    /// <summary>The port.</summary>
    public int? Port { get; set; }

    /// <summary>The database.</summary>
    public string? Db { get; set; }

    /// <summary>The database's address, or null without a host. A host without a scheme speaks http on CouchDB's own port.</summary>
    public string? ToAddress()
    {
        var hasScheme = Host?.Contains("://", StringComparison.Ordinal) == true;
        if (string.IsNullOrWhiteSpace(Host) || !Uri.TryCreate(hasScheme ? Host : $"http://{Host}", UriKind.Absolute, out var host))
        {
            return null;
        }

        var port = Port ?? (host.IsDefaultPort && !hasScheme ? 5984 : host.Port);
        var address = new UriBuilder(host) { Port = port, Path = Uri.EscapeDataString(Db ?? "registry") };
        return address.Uri.AbsoluteUri;
    }
}
