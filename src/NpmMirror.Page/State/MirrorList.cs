using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http;
using NpmMirror.AspNetCore.Answers;
using NpmMirror.Hosting;

namespace NpmMirror.Page.State;

/// <summary>Answers <c>/api/mirrors</c>: what is mirrored, from where, and how to use it; a list of one.</summary>
internal static class MirrorList
{
    /// <summary>The name of a mirror in its state interface.</summary>
    internal static string IdOf(Mirror mirror) => "npm-mirror.npm." + NameOf(mirror);

    internal static Task WriteAsync(HttpContext context, Mirror mirror, string registry)
    {
        var one = new OlderMirror(
            IdOf(mirror),
            "npm",
            NameOf(mirror),
            Masked.Address(mirror.Upstream.BaseUrl.AbsoluteUri).TrimEnd('/'),
            registry,
            "",
            true,
            $"Set the registry of your client:\n\n    npm config set registry {registry}/\n\nPackages come from this mirror from then on, and tarballs are kept here from the first request on.\n");
        return RegistryErrors.WriteJsonAsync(context, StatusCodes.Status200OK, JsonSerializer.SerializeToUtf8Bytes((OlderMirror[])[one], PageJson.Default.OlderMirrorArray));
    }

    private static string NameOf(Mirror mirror) => mirror.Options.Mount.Trim('/') is { Length: > 0 } mount ? mount : "registry";
}

/// <summary>A mirror as older readers know it.</summary>
internal sealed record OlderMirror(string Id, string Type, string Name, string SourceUrl, string TargetUrl, string Icon, bool Enabled, string Usage);

/// <summary>The JSON of the state interface. Angle brackets are escaped, in case a client takes an answer for a page.</summary>
[JsonSerializable(typeof(OlderMirror[]))]
[JsonSerializable(typeof(OlderState))]
internal sealed partial class PageJson : JsonSerializerContext;
