using System.Globalization;
using System.Net;

namespace NpmMirror.Options;

/// <summary>The short ways to write the address to listen on: <c>4990</c>, <c>:4990</c>, <c>0.0.0.0:4990</c>, <c>localhost</c>.</summary>
internal static class ListenAddress
{
    /// <summary>The port if none is named.</summary>
    internal const int DefaultPort = 4873;

    /// <summary>The address as a URL. A port alone is on loopback; a port after a colon is on every address of this machine. A text that is no short form stays as it is.</summary>
    internal static string WriteOut(string text)
    {
        var written = text.Trim();
        if (written.Contains("://", StringComparison.Ordinal))
        {
            return text;
        }

        if (IsPort(written))
        {
            return $"http://127.0.0.1:{written}";
        }

        if (written.StartsWith(':') && IsPort(written[1..]))
        {
            return $"http://*{written}";
        }

        if (IsHost(written))
        {
            return string.Create(CultureInfo.InvariantCulture, $"http://{written}:{DefaultPort}");
        }

        var colon = written.LastIndexOf(':');
        return colon > 0 && IsHost(written[..colon]) && IsPort(written[(colon + 1)..]) ? $"http://{written}" : text;
    }

    private static bool IsPort(string text) => text.Length is > 0 and <= 5 && text.All(char.IsAsciiDigit) && int.Parse(text, CultureInfo.InvariantCulture) <= IPEndPoint.MaxPort;

    // An IPv6 address needs its brackets: without them its end looks like a port.
    private static bool IsHost(string text) =>
        text is "localhost" or "*" or "+" || ((text is ['[', .., ']'] || text.Count(c => c == '.') == 3) && IPAddress.TryParse(text, out _));
}
