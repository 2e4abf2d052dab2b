using System.Diagnostics.Metrics;
using System.Net;
using System.Security.Cryptography.X509Certificates;
using NpmMirror.Diagnostics;

namespace NpmMirror.Upstream;

/// <summary>The upstream of a <see cref="RegistryClient"/>, and how it is asked.</summary>
internal sealed record RegistryClientOptions
{
    /// <summary>The upstream's address; a trailing slash does not matter. User and password in it count as credentials.</summary>
    public required Uri BaseUrl { get; init; }

    /// <summary>The credentials, per address.</summary>
    public RegistryCredentials Credentials { get; init; } = RegistryCredentials.None;

    /// <summary>Chooses a proxy per address; null for none.</summary>
    public IWebProxy? Proxy { get; init; }

    /// <summary>The only authorities trusted, in place of the system's; null: the system's.</summary>
    public X509Certificate2Collection? Authorities { get; init; }

    /// <summary>Authorities trusted besides the others.</summary>
    public X509Certificate2Collection? ExtraAuthorities { get; init; }

    /// <summary>The certificate that a host wants to see of its clients, by host name; npm's <c>certfile</c> and <c>keyfile</c>.</summary>
    public IReadOnlyDictionary<string, X509Certificate2> ClientCertificates { get; init; } = new Dictionary<string, X509Certificate2>();

    /// <summary>False accepts any certificate, as npm's <c>strict-ssl=false</c> does.</summary>
    public bool IsTlsStrict { get; init; } = true;

    /// <summary>How long a connection may take.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long to wait for headers, and for each next piece of a body.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The longest packument accepted, decoded.</summary>
    public int PackumentMaxBytes { get; init; } = 256 * 1024 * 1024;

    /// <summary>The longest tarball accepted.</summary>
    public long TarballMaxBytes { get; init; } = 4L * 1024 * 1024 * 1024;

    /// <summary>The longest answer to a forwarded request accepted, decoded.</summary>
    public long ForwardedMaxBytes { get; init; } = 64L * 1024 * 1024;

    /// <summary>Hosts (<c>host</c> for any port, or <c>host:port</c>) besides the upstream's own from which tarballs may be fetched.</summary>
    public IReadOnlyList<string> TarballHosts { get; init; } = [];

    /// <summary>Names this mirror to upstreams that are mirrors too, so that a loop is found; null sends nothing.</summary>
    public string? InstanceId { get; init; }

    /// <summary>Requests a second to one host; 0: any number; null: a hundred, and any number to this machine.</summary>
    public double? RequestsPerSecond { get; init; }

    /// <summary>How names become addresses: the system's way, or a test's own.</summary>
    internal Func<string, CancellationToken, Task<IPAddress[]>> Resolve { get; init; } = UpstreamConnections.ResolveAsync;

    /// <summary>Where requests and pauses are counted.</summary>
    internal Meter Meter { get; init; } = Telemetry.Unread;

    /// <summary>Sends no requests: each fails at once and says so.</summary>
    public bool IsOffline { get; init; }

    /// <summary>Concurrent fetches of packuments without a waiting client.</summary>
    public int Concurrency { get; init; } = 10;
}
