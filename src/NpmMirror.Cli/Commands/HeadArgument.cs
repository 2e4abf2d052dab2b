using System.CommandLine.Parsing;
using System.Globalization;
using System.Security.Cryptography;
using NpmMirror.Storage;

namespace NpmMirror.Cli.Commands;

/// <summary>A head of the log on the command line: <c>17:9f86d0…</c>.</summary>
internal static class HeadArgument
{
    /// <summary>Reads the one value given.</summary>
    internal static LogHead? Parse(ArgumentResult result)
    {
        var text = result.Tokens.Single().Value;
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        if (colon > 0
            && long.TryParse(text.AsSpan(0, colon), NumberStyles.None, CultureInfo.InvariantCulture, out var position)
            && text.Length - colon - 1 == 2 * SHA256.HashSizeInBytes
            && text[(colon + 1)..].All(char.IsAsciiHexDigit))
        {
            return new LogHead(new LogPosition(position), Digest.FromHex(text[(colon + 1)..]));
        }

        result.AddError($"{MirrorException.Quote(text)} is no head of a log; write its position, a colon and its hash, as verify and status print them.");
        return null;
    }
}
