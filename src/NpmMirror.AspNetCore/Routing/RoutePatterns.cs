namespace NpmMirror.AspNetCore.Routing;

/// <summary>Routes as metrics name them: patterns below the mount, of which there are few, and never a path that a client wrote.</summary>
internal static class RoutePatterns
{
    internal const string Packument = "/{package}";
    internal const string Manifest = "/{package}/{version}";
    internal const string Tarball = "/{package}/-/{file}";
    internal const string Changes = "/_changes";
    internal const string Malformed = "malformed";
    internal const string Other = "other";

    internal static string Of(RegistryRoute route) => route switch
    {
        RegistryRoute.Packument => Packument,
        RegistryRoute.Manifest => Manifest,
        RegistryRoute.Tarball => Tarball,
        RegistryRoute.DistTags => "/-/package/{package}/dist-tags",
        RegistryRoute.Search => "/-/v1/search",
        RegistryRoute.Ping => "/-/ping",
        RegistryRoute.Account => "/-/whoami",
        RegistryRoute.Keys => "/-/npm/v1/keys",
        RegistryRoute.Attestations => "/-/npm/v1/attestations/{package}@{version}",
        RegistryRoute.Advisories => "/-/npm/v1/security/advisories/bulk",
        RegistryRoute.RetiredAudit => "/-/npm/v1/security/audits",
        RegistryRoute.Info => "/",
        RegistryRoute.LogHead => "/-/log/head",
        RegistryRoute.LogAt => "/-/log/{position}",
        RegistryRoute.Changes => Changes,
        RegistryRoute.Events => "/-/events",
        RegistryRoute.BulkGet => "/_bulk_get",
        RegistryRoute.AllDocs => "/_all_docs",
        RegistryRoute.All => "/-/all",
        RegistryRoute.Publishing => "publishing",
        RegistryRoute.Login => "/-/v1/login",
        RegistryRoute.Home => "home",
        RegistryRoute.Live => "/health/live",
        RegistryRoute.Ready => "/health/ready",
        RegistryRoute.Metrics => "/metrics",
        RegistryRoute.ApiPing => "/api/ping",
        RegistryRoute.OutsideMount => "outside",
        RegistryRoute.NotFound => "not_found",
        RegistryRoute.Malformed => Malformed,
        _ => Other,
    };
}
