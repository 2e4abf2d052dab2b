
namespace NpmMirror.AspNetCore.Routing;

/// <summary>What a request target asks for: a closed family. The method is not part of it.</summary>
internal abstract record RegistryRoute
{
    private RegistryRoute()
    {
    }

    /// <summary><c>{m}/{pkg}</c>.</summary>
    public sealed record Packument(PackageName Package) : RegistryRoute;

    /// <summary><c>{m}/{pkg}/{version or tag}</c>.</summary>
    public sealed record Manifest(PackageName Package, string VersionOrTag) : RegistryRoute;

    /// <summary><c>{m}/{pkg}/-/{file}</c>.</summary>
    public sealed record Tarball(PackageName Package, string File) : RegistryRoute;

    /// <summary><c>{m}/-/package/{pkg}/dist-tags</c>.</summary>
    public sealed record DistTags(PackageName Package) : RegistryRoute;

    /// <summary><c>{m}/-/v1/search</c>.</summary>
    public sealed record Search : RegistryRoute;

    /// <summary><c>{m}/-/ping</c>.</summary>
    public sealed record Ping : RegistryRoute;

    /// <summary><c>{m}/-/whoami</c> and the other questions about the caller's account.</summary>
    public sealed record Account : RegistryRoute;

    /// <summary><c>{m}/-/npm/v1/keys</c>.</summary>
    public sealed record Keys : RegistryRoute;

    /// <summary><c>{m}/-/npm/v1/attestations/{pkg}@{version}</c>.</summary>
    public sealed record Attestations(PackageName Package, string Version) : RegistryRoute;

    /// <summary><c>{m}/-/npm/v1/security/advisories/bulk</c>.</summary>
    public sealed record Advisories : RegistryRoute;

    /// <summary><c>{m}/-/npm/v1/security/audits</c> and <c>…/quick</c>, which the registry retired.</summary>
    public sealed record RetiredAudit : RegistryRoute;

    /// <summary><c>{m}/</c>.</summary>
    public sealed record Info : RegistryRoute;

    /// <summary><c>{m}/-/log/head</c>.</summary>
    public sealed record LogHead : RegistryRoute;

    /// <summary><c>{m}/-/log/{position}</c>.</summary>
    public sealed record LogAt(long Position) : RegistryRoute;

    /// <summary><c>{m}/_changes</c>.</summary>
    public sealed record Changes : RegistryRoute;

    /// <summary><c>{m}/-/events</c>.</summary>
    public sealed record Events : RegistryRoute;

    /// <summary><c>{m}/_bulk_get</c>.</summary>
    public sealed record BulkGet : RegistryRoute;

    /// <summary><c>{m}/_all_docs</c>.</summary>
    public sealed record AllDocs : RegistryRoute;

    /// <summary><c>{m}/-/all</c>.</summary>
    public sealed record All : RegistryRoute;

    /// <summary>A path that only publishing commands use, or that has no meaning on a mirror when read.</summary>
    public sealed record Publishing : RegistryRoute;

    /// <summary><c>{m}/-/v1/login</c>, npm's first question when somebody logs in.</summary>
    public sealed record Login : RegistryRoute;

    /// <summary><c>/</c>, outside every mount.</summary>
    public sealed record Home : RegistryRoute;

    /// <summary><c>/health/live</c>.</summary>
    public sealed record Live : RegistryRoute;

    /// <summary><c>/health/ready</c>.</summary>
    public sealed record Ready : RegistryRoute;

    /// <summary><c>/metrics</c>.</summary>
    public sealed record Metrics : RegistryRoute;

    /// <summary><c>/api/ping</c>.</summary>
    public sealed record ApiPing : RegistryRoute;

    /// <summary>A path outside every mount, where a package may have been meant.</summary>
    public sealed record OutsideMount : RegistryRoute;

    /// <summary>A well-formed path that stands for nothing: 404.</summary>
    public sealed record NotFound(string Reason) : RegistryRoute;

    /// <summary>A path that is not well-formed: 400, or 414 for one that is too long.</summary>
    public sealed record Malformed(int Status, string Reason) : RegistryRoute;
}
