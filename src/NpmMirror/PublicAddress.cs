namespace NpmMirror;

/// <summary>The form of <c>publicUrl</c> in which clients compare addresses, as text: scheme and host in lower case, no port that goes without saying.</summary>
internal static class PublicAddress
{
    /// <summary>The address in its full form; a text that is no address for clients stays as it is, for the message that refuses it.</summary>
    internal static string? WriteOut(string? written)
    {
        var text = written?.Trim() ?? "";
        var authority = text.IndexOf(Uri.SchemeDelimiter, StringComparison.Ordinal) + Uri.SchemeDelimiter.Length;
        if (authority < Uri.SchemeDelimiter.Length || HeaderValues.Address(text) is not { UserInfo: "", Scheme: "http" or "https" } address)
        {
            return written;
        }

        // The path is the operator's own spelling: a proxy in front may tell one from another.
        var rest = text.AsSpan(authority).IndexOfAny("/?#");
        // Clients ask by the name as DNS has it, in any case of letters.
        var host = address.HostNameType == UriHostNameType.IPv6 ? address.Host : address.IdnHost;
        var port = address.IsDefaultPort ? "" : string.Create(System.Globalization.CultureInfo.InvariantCulture, $":{address.Port}");
        return $"{address.Scheme}://{host}{port}" + (rest < 0 ? "" : text[(authority + rest)..]);
    }
}
