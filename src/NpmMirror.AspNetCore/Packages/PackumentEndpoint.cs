using Microsoft.AspNetCore.Http;
using NpmMirror.AspNetCore.Answers;
using NpmMirror.AspNetCore.Routing;
using NpmMirror.Packuments;
using NpmMirror.Renditions;
using NpmMirror.Syncing;
using NpmMirror.Visibility;

namespace NpmMirror.AspNetCore.Packages;

/// <summary>Answers for packuments and for single manifests: find the row, compare validators, write prepared bytes.</summary>
internal sealed class PackumentEndpoint(PackageFinder packages, VersionLookup lookFor, RenditionCache cache, DocumentRepair repair, AnswerMemory memory, CrossOriginPolicy crossOrigin, VisibilityRules visibility, TimeProvider time)
{
    private const string AbbreviatedType = "application/vnd.npm.install-v1+json";

    /// <summary>A package that changed under this many makings is a package under fire: the client comes again.</summary>
    private const int AttemptsMax = 5;

    /// <summary>The form that the <c>Accept</c> header asks for: abbreviated where it is named, not refused and not wanted less than JSON, else full.</summary>
    internal static PackumentForm FormOf(string accept) =>
        WeightedValues.Find(accept, AbbreviatedType) is > 0 and var weight && weight >= (WeightedValues.Find(accept, "application/json") ?? 0)
            ? PackumentForm.Abbreviated
            : PackumentForm.Full;

    /// <summary>Answers <c>{m}/{pkg}</c>.</summary>
    internal Task HandleAsync(HttpContext context, RequestKey request, PackageName name, string baseUrl) =>
        HandleAsync(context, request, name, new RenditionKey(View.Live, FormOf(request.Accept), null, baseUrl, ContentCodings.Negotiate(request.AcceptEncoding)), versionOrTag: null);

    /// <summary>Answers <c>{m}/{pkg}/{version or tag}</c>: always the full manifest; ranges are not resolved.</summary>
    internal Task HandleManifestAsync(HttpContext context, RequestKey request, PackageName name, string versionOrTag, string baseUrl) =>
        HandleAsync(context, request, name, new RenditionKey(View.Live, PackumentForm.Full, null, baseUrl, ContentCodings.Negotiate(request.AcceptEncoding)), versionOrTag);

    private async Task HandleAsync(HttpContext context, RequestKey request, PackageName name, RenditionKey key, string? versionOrTag)
    {
        var askedAt = time.GetTimestamp();
        for (var attempt = 0; attempt < AttemptsMax; attempt++)
        {
            var (package, absent) = await packages.FindAsync(name, context.RequestAborted);
            if (package is null)
            {
                await RegistryErrors.WriteAsync(context, absent!);
                return;
            }

            if (versionOrTag is not null)
            {
                if (VersionOf(await repair.IndexOfAsync(package.Row, context.RequestAborted), versionOrTag) is not { } version)
                {
                    if (visibility.OfPast(package.Row) is null && await lookFor(package.Row, versionOrTag, askedAt, context.RequestAborted))
                    {
                        continue;
                    }

                    await RefuseVersionAsync(context, package, versionOrTag);
                    return;
                }

                key = key with { Version = version };
            }

            var rendition = cache.Rendition(package, key);
            if (RenditionAnswer.IsNotModified(context.Request.Headers, rendition))
            {
                Remember(request, rendition);
                RenditionAnswer.WriteNotModified(context, rendition);
                return;
            }

            if (RenditionCache.IsSpilled(package.Row, key))
            {
                if (await repair.ReadAsync(name, () => new ValueTask<SpilledRendition?>(cache.SpillAsync(package.Row, key, context.RequestAborted)), context.RequestAborted) is { } spilled)
                {
                    await RenditionAnswer.WriteAsync(context, rendition, spilled, time);
                    return;
                }

                cache.Drop(name);
            }
            else if (await repair.ReadAsync(name, () => cache.BodyAsync(rendition, context.RequestAborted), context.RequestAborted) is { } body)
            {
                Remember(request, rendition);
                await RenditionAnswer.WriteAsync(context, rendition, body, HttpMethods.IsHead(context.Request.Method), time);
                return;
            }
        }

        await RegistryErrors.WriteAsync(context, StatusCodes.Status503ServiceUnavailable, $"{name} changes faster than it can be served; ask again.", TimeSpan.FromSeconds(1));
    }

    private Task RefuseVersionAsync(HttpContext context, CachedPackage package, string versionOrTag) => visibility.OfPast(package.Row) is { } hidden
        ? RegistryErrors.WriteAsync(context, hidden.Status, hidden.Reason)
        : RegistryErrors.WriteJsonAsync(context, StatusCodes.Status404NotFound, WireJson.Text($"version not found: {versionOrTag}"));

    private void Remember(in RequestKey request, Rendition rendition)
    {
        // Without a place in the cache no later request finds it anyway.
        if (rendition.IsKept)
        {
            memory.Remember(request, new RememberedRendition(rendition, packages.IsCurrent, crossOrigin));
        }
    }

    private static string? VersionOf(PackumentIndex index, string versionOrTag) => index.Find(versionOrTag)?.Version
        ?? (index.DistTags.TryGetValue(versionOrTag, out var tagged) ? index.Find(tagged)?.Version : null);
}
