using System.Buffers;
using System.Text.Json;
using NpmMirror.AspNetCore.Answers;
using NpmMirror.Searching;

namespace NpmMirror.AspNetCore.Searching;

/// <summary>An answer to a search in the form that npm's clients read. Downloads are left out, because nobody here counts those of the world; so is <c>links.npm</c>, a page of another site.</summary>
internal static class SearchBody
{
    /// <summary>Writes it.</summary>
    /// <param name="found">The packages that this mirror found.</param>
    /// <param name="others">Results of the upstream, as it sent them; they come after.</param>
    /// <param name="othersTotal">How many the upstream has in all.</param>
    /// <param name="now">The time.</param>
    internal static ReadOnlyMemory<byte> Write(SearchAnswer found, IReadOnlyList<ReadOnlyMemory<byte>> others, long othersTotal, DateTimeOffset now)
    {
        var body = new ArrayBufferWriter<byte>(4096);
        using (var json = new Utf8JsonWriter(body, WireJson.Written))
        {
            json.WriteStartObject();
            json.WriteStartArray("objects"u8);
            foreach (var hit in found.Hits)
            {
                Write(json, hit);
            }

            foreach (var other in others)
            {
                json.WriteRawValue(other.Span, skipInputValidation: true);
            }

            json.WriteEndArray();
            json.WriteNumber("total"u8, found.Total + othersTotal);
            json.WriteString("time"u8, now.UtcDateTime);
            json.WriteEndObject();
        }

        return body.WrittenMemory;
    }

    private static void Write(Utf8JsonWriter json, SearchHit hit)
    {
        json.WriteStartObject();
        json.WriteStartObject("package"u8);
        json.WriteString("name"u8, hit.Name.Value);
        json.WriteString("scope"u8, hit.Name.Scope ?? "unscoped");
        json.WriteString("version"u8, hit.Version ?? "");
        WriteText(json, "description"u8, hit.Description);
        json.WriteStartArray("keywords"u8);
        foreach (var keyword in hit.Keywords)
        {
            json.WriteStringValue(keyword);
        }

        json.WriteEndArray();
        if (hit.PublishedAt is { } at)
        {
            json.WriteString("date"u8, at.UtcDateTime);
        }

        WriteText(json, "license"u8, hit.License);
        WriteLinks(json, hit);
        if (hit.Author is { } author)
        {
            WritePerson(json, "author"u8, "name"u8, author);
        }

        if (hit.Publisher is { } publisher)
        {
            WritePerson(json, "publisher"u8, "username"u8, publisher);
        }

        // npm maps over it without looking.
        json.WriteStartArray("maintainers"u8);
        foreach (var maintainer in hit.Maintainers)
        {
            WritePerson(json, default, "username"u8, maintainer);
        }

        json.WriteEndArray();
        json.WriteEndObject();
        WriteScores(json, hit);
        json.WriteEndObject();
    }

    private static void WriteLinks(Utf8JsonWriter json, SearchHit hit)
    {
        json.WriteStartObject("links"u8);
        WriteText(json, "homepage"u8, hit.Homepage);
        WriteText(json, "repository"u8, hit.Repository);
        WriteText(json, "bugs"u8, hit.Bugs);
        json.WriteEndObject();
    }

    private static void WriteScores(Utf8JsonWriter json, SearchHit hit)
    {
        json.WriteStartObject("score"u8);
        json.WriteNumber("final"u8, Rounded(SearchWeights.Usual.Of(hit.Score)));
        json.WriteStartObject("detail"u8);
        json.WriteNumber("quality"u8, Rounded(hit.Score.Quality));
        json.WriteNumber("popularity"u8, Rounded(hit.Score.Popularity));
        json.WriteNumber("maintenance"u8, Rounded(hit.Score.Maintenance));
        json.WriteEndObject();
        json.WriteEndObject();
        json.WriteNumber("searchScore"u8, Rounded(hit.Rank));
        json.WriteNumber("dependents"u8, hit.Dependents);
        json.WriteStartObject("flags"u8);
        if (hit.IsUnstable)
        {
            json.WriteBoolean("unstable"u8, true);
        }

        WriteText(json, "deprecated"u8, hit.Deprecated);
        json.WriteEndObject();
    }

    private static void WritePerson(Utf8JsonWriter json, ReadOnlySpan<byte> member, ReadOnlySpan<byte> nameMember, SearchPerson person)
    {
        if (member.IsEmpty)
        {
            json.WriteStartObject();
        }
        else
        {
            json.WriteStartObject(member);
        }

        json.WriteString(nameMember, person.Name);
        WriteText(json, "email"u8, person.Email);
        json.WriteEndObject();
    }

    private static void WriteText(Utf8JsonWriter json, ReadOnlySpan<byte> member, string? text)
    {
        if (text is not null)
        {
            json.WriteString(member, text);
        }
    }

    private static double Rounded(double value) => Math.Round(value, 4);
}
