using System.Net;
using NpmMirror.AspNetCore.Routing;
using NpmMirror.Renditions;

namespace NpmMirror.AspNetCore.Answers;

/// <summary>A rendition, as long as its package has not changed.</summary>
internal sealed class RememberedRendition(Rendition rendition, Func<CachedPackage, bool> isCurrent, CrossOriginPolicy crossOrigin)
    : RememberedAnswer(RouteOf(rendition), ValidatorsOf(rendition, crossOrigin), RepresentationOf(rendition), rendition.ETag)
{
    internal Rendition Rendition { get; } = rendition;

    /// <inheritdoc/>
    internal override bool TryBegin(ReadOnlySpan<byte> ifNoneMatch, EndPoint? client, out AnswerBody body)
    {
        var isKnown = IsKnown(ifNoneMatch);
        var bytes = isKnown ? null : Rendition.Body;
        body = new AnswerBody(bytes, null, bytes?.Length ?? 0);
        // The server makes a body that is not in memory.
        if (body.IsNotModified != isKnown || !isCurrent(Rendition.Package))
        {
            return false;
        }

        Rendition.Touch();
        return true;
    }

    /// <summary>The pattern of the route that a rendition answers.</summary>
    internal static string RouteOf(Rendition rendition) => rendition.Key.Version is null ? RegistryRoute.PackumentPattern : RegistryRoute.ManifestPattern;

    private static string RepresentationOf(Rendition rendition) =>
        $"Content-Type: {rendition.ContentType}\r\n" + (rendition.ContentEncoding is { } coding ? $"Content-Encoding: {coding}\r\n" : "");

    private static string ValidatorsOf(Rendition rendition, CrossOriginPolicy crossOrigin) =>
        $"ETag: {rendition.ETag}\r\nVary: {CommonHeaders.Vary}\r\nCache-Control: {CommonHeaders.PackumentCacheControl}\r\n{crossOrigin.Lines}"
        + (rendition.LastModified is { } modified ? $"Last-Modified: {modified}\r\n" : "");
}
