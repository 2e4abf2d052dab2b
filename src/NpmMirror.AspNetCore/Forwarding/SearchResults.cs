using System.Text.Json;
using NpmMirror.Packuments;
using NpmMirror.Visibility;

namespace NpmMirror.AspNetCore.Forwarding;

/// <summary>The upstream's search results, without the packages that this mirror hides.</summary>
internal sealed class SearchResults(PackageVisibility visibility)
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
