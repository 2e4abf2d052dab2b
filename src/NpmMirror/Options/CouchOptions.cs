using System.ComponentModel.DataAnnotations;
using System.ComponentModel;

namespace NpmMirror.Options;

/// <summary>A CouchDB by its parts, as the older tool had them: it gives the feed and the documents.</summary>
public sealed class CouchOptions
{
    /// <summary>The host, with or without a scheme.</summary>
    [Description("The host of a CouchDB; with couch.port and couch.db another way to set feed, and upstream if none is given")]
    public string? Host { get; set; }

    /// <summary>The port.</summary>
    [Range(1, 65535)]
    [Description("The port of that CouchDB")]
    public int? Port { get; set; }

    /// <summary>The database.</summary>
    [Description("The database of that CouchDB")]
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
