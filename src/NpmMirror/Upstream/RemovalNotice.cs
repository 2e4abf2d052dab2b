using System.Text.Json;

namespace NpmMirror.Upstream;

/// <summary>
/// The words of another npm-mirror about a package that it has removed, in the member <c>removed</c> of its 404 or 451. A stranger's words, read only if
/// they are short and of the right kind; they describe a removal, and never cause one.
/// </summary>
/// <param name="Kind">The kind of removal, as the log names it.</param>
/// <param name="Reason">The reason that the first of the mirrors was told.</param>
/// <param name="At">The time, as far as the first of them knew.</param>
/// <param name="Rev">The deletion's revision.</param>
internal sealed record RemovalNotice(string Kind, string? Reason, DateTimeOffset? At, string Rev)
{
    /// <summary>The member's name.</summary>
    public const string Member = "removed";

    private const int TextMaxChars = 500;
    private const int RevMaxChars = 128;

    /// <summary>Writes the member into an object.</summary>
    public void WriteTo(Utf8JsonWriter json)
    {
        json.WriteStartObject(Member);
        json.WriteString("kind"u8, Kind);
        if (Reason is not null)
        {
            json.WriteString("reason"u8, Reason);
        }

        if (At is { } at)
        {
            json.WriteString("at"u8, at.UtcDateTime);
        }

        json.WriteString("rev"u8, Rev);
        json.WriteEndObject();
    }

    /// <summary>Reads the member of an answer's object; null if there is none that makes sense.</summary>
    internal static RemovalNotice? Of(JsonElement answer)
    {
        if (!answer.TryGetProperty(Member, out var notice) || notice.ValueKind != JsonValueKind.Object)
        {
            return null;
        }

        return Text(notice, "kind") is { } kind && Text(notice, "rev") is { Length: <= RevMaxChars } rev && IsRev(rev)
            ? new RemovalNotice(kind, Text(notice, "reason"), HeaderValues.Date(Text(notice, "at")), rev)
            : null;
    }

    private static bool IsRev(string rev) => new Revision(rev).Number > 0 && rev.All(character => character is > ' ' and < '\u007f');

    private static string? Text(JsonElement element, string member) =>
        element.TryGetProperty(member, out var value) && value.ValueKind == JsonValueKind.String && value.GetString() is { Length: > 0 and <= TextMaxChars } text ? text : null;
}
