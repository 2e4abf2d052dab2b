using Microsoft.AspNetCore.Http;
using NpmMirror.AspNetCore.Answers;
using NpmMirror.AspNetCore.Feeds;
using NpmMirror.AspNetCore.Forwarding;
using NpmMirror.AspNetCore.Operations;
using NpmMirror.AspNetCore.Packages;
using NpmMirror.AspNetCore.Pages;
using NpmMirror.AspNetCore.Searching;

namespace NpmMirror.AspNetCore;

/// <summary>The endpoints of the routes.</summary>
internal sealed record EndpointSet
{
    internal required PackageFinder Packages { get; init; }

    internal required PackumentEndpoint Packuments { get; init; }

    internal required Func<HttpContext, RequestKey, PackageName, string, Task> Tarballs { get; init; }

    internal required DistTagsEndpoint DistTags { get; init; }

    internal required RefreshEndpoint Refresh { get; init; }

    internal required ForwardingEndpoint Forwarding { get; init; }

    internal required SearchEndpoint Search { get; init; }

    internal required KeptDocuments Kept { get; init; }

    internal required InfoEndpoint Info { get; init; }

    internal required ChangesEndpoint Changes { get; init; }

    internal required EventsEndpoint Events { get; init; }

    internal required ReplicationEndpoint Replication { get; init; }

    internal required AllDocsEndpoint AllDocs { get; init; }

    internal required AllEndpoint All { get; init; }

    internal required HealthEndpoint Health { get; init; }

    internal required MetricsEndpoint Metrics { get; init; }

    internal required HomeEndpoint Home { get; init; }

    internal required PageEndpoint Page { get; init; }
}
