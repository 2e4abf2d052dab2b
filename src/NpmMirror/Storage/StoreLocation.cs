namespace NpmMirror.Storage;

/// <summary>An engine, and a place for it: <c>Sqlite</c>, <c>sqlite:/data</c>, <c>memory:</c>, <c>postgres://host/database</c>.</summary>
/// <param name="Engine">The engine's name, as it was written.</param>
/// <param name="Address">For the engine: the text after the colon, or the whole of a URL; null if there is none.</param>
public sealed record StoreLocation(string Engine, string? Address)
{
    /// <summary>Reads an engine's name or a location.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.Configuration"/>: neither of them.</exception>
    public static StoreLocation Parse(string text)
    {
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        var engine = (colon < 0 ? text : text[..colon]).Trim();

        // One letter before a colon is a drive, not an engine.
        if (engine.Length < 2 || !engine.All(c => char.IsAsciiLetterOrDigit(c) || c is '+' or '-' or '.'))
        {
            throw new MirrorException(
                MirrorFault.Configuration,
                $"{MirrorException.Quote(WithoutSecrets(text))} is neither a store engine nor a location; write for example sqlite or sqlite:/var/lib/npm-mirror.");
        }

        var rest = colon < 0 ? "" : text[(colon + 1)..];
        var address = rest.StartsWith("///", StringComparison.Ordinal) ? rest[2..] : rest.StartsWith("//", StringComparison.Ordinal) ? text : rest;
        return new StoreLocation(engine, address.Length == 0 ? null : address);
    }

    /// <summary>The location for messages, without user and password.</summary>
    public override string ToString() => Address is null ? $"{Engine}:" : WithoutSecrets(Address.Contains("://", StringComparison.Ordinal) ? Address : $"{Engine}:{Address}");

    private static string WithoutSecrets(string text)
    {
        var authority = text.IndexOf("://", StringComparison.Ordinal) + 3;
        if (authority < 3)
        {
            return text;
        }

        // A password may have any character, as it was typed. If a question mark comes before the last @, nobody knows which part each belongs to.
        var (at, query) = (text.LastIndexOf('@'), text.IndexOf('?', StringComparison.Ordinal));
        if (query >= 0 && query < at)
        {
            return text[..authority] + "…";
        }

        var shown = at >= authority ? string.Concat(text.AsSpan(0, authority), text.AsSpan(at + 1)) : text;

        // Passwords travel in query strings too.
        query = shown.IndexOf('?', StringComparison.Ordinal);
        return query < 0 ? shown : shown[..query];
    }
}
