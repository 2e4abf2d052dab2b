using System.Text.Json;
using NpmMirror.AspNetCore.Forwarding;
using NpmMirror.Packuments;
using NpmMirror.Storage;
using NpmMirror.Visibility;

namespace NpmMirror.AspNetCore.Searching;

/// <summary>The upstream's search results, without the packages that this mirror hides, or finds itself.</summary>
internal sealed class UpstreamResults(PackageVisibility visibility, IPackageTable packages)
{
    private static readonly ReadOnlyMemory<byte> Comma = ","u8.ToArray();

    /// <summary>The pieces of an answer that are to be passed on: all of it in one, if nothing is hidden.</summary>
    /// <param name="json">An answer that <see cref="ForwardedService"/> took for one.</param>
    /// <param name="cancellationToken">Cancels.</param>
    internal async Task<IReadOnlyList<ReadOnlyMemory<byte>>> ShownAsync(ReadOnlyMemory<byte> json, CancellationToken cancellationToken)
    {
        var found = Read(json.Span);
        var shown = new List<Result>(found.Count);
        foreach (var result in found)
        {
            if (result.Package is not { } package || await visibility.FindAsync(package, cancellationToken) is null)
            {
                shown.Add(result);
            }
        }

        if (shown.Count == found.Count)
        {
            return [json];
        }

        var pieces = new List<ReadOnlyMemory<byte>> { json[..found[0].Start] };
        foreach (var (_, start, end) in shown)
        {
            if (pieces.Count > 1)
            {
                pieces.Add(Comma);
            }

            pieces.Add(json[start..end]);
        }

        pieces.Add(json[found[^1].End..]);
        return pieces;
    }

    /// <summary>The results of packages that this mirror does not hold: those it has found itself, or hides.</summary>
    /// <returns>The results as they were sent, and how many the upstream has in all pages.</returns>
    internal async Task<(IReadOnlyList<ReadOnlyMemory<byte>> Results, long Total)> OthersAsync(ReadOnlyMemory<byte> json, CancellationToken cancellationToken)
    {
        var others = new List<ReadOnlyMemory<byte>>();
        var found = Read(json.Span);
        foreach (var (package, start, end) in found)
        {
            if (package is { } name && await packages.FindAsync(name, cancellationToken) is null)
            {
                others.Add(json[start..end]);
            }
        }

        return (others, Math.Max(TotalOf(json.Span) - (found.Count - others.Count), others.Count));
    }

    private static long TotalOf(ReadOnlySpan<byte> json)
    {
        var origin = json.IndexOf((byte)'{');
        var total = JsonMembers.Find(json, new Slice(origin, json.Length - origin), "total"u8);
        return System.Buffers.Text.Utf8Parser.TryParse(total.Of(json), out long number, out var read) && read == total.Length && number is >= 0 and < int.MaxValue ? number : 0;
    }

    /// <summary>The elements of <c>objects</c>; of several such members the last one's, which readers of JSON take.</summary>
    private static List<Result> Read(ReadOnlySpan<byte> json)
    {
        var found = new List<Result>();
        var reader = new Utf8JsonReader(json, JsonText.ReaderOptions);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isObjects = reader.ValueTextEquals("objects"u8);
            reader.Read();
            if (!isObjects)
            {
                reader.Skip();
                continue;
            }

            found.Clear();
            while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
            {
                var start = (int)reader.TokenStartIndex;
                reader.Skip();
                var end = (int)reader.BytesConsumed;
                found.Add(new Result(NameOf(json, new Slice(start, end - start)), start, end));
            }
        }

        return found;
    }

    private static PackageName? NameOf(ReadOnlySpan<byte> json, Slice result)
    {
        if (!JsonMembers.Read(json, result).TryGetValue("package", out var package) || !JsonMembers.Read(json, package).TryGetValue("name", out var name) || json[name.Offset] != '"')
        {
            return null;
        }

        var reader = new Utf8JsonReader(name.Of(json));
        reader.Read();
        return PackageName.TryParse(JsonText.Read(ref reader), out var parsed) ? parsed : null;
    }

    private readonly record struct Result(PackageName? Package, int Start, int End);
}
