using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace NpmMirror.NpmSettings;

/// <summary>Reads npm's configuration files: lines of <c>key = value</c>, <c>key[] = value</c> for lists, <c>${NAME}</c> for the environment.</summary>
internal static partial class NpmrcFile
{
    /// <summary>The settings of a file, none when there is no such file. A key may hold several values, in order.</summary>
    /// <exception cref="MirrorException">The file is there and cannot be read.</exception>
    internal static IReadOnlyList<KeyValuePair<string, string>> Read(string path, Func<string, string?> environment)
    {
        try
        {
            return Parse(File.ReadAllText(path), environment);
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            return [];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new MirrorException(MirrorFault.Configuration, $"npm's configuration {path} cannot be read ({exception.Message}); make it readable, or give --upstream and no credentials of npm's.", inner: exception);
        }
    }

    internal static List<KeyValuePair<string, string>> Parse(string text, Func<string, string?> environment)
    {
        var settings = new List<KeyValuePair<string, string>>();
        foreach (var raw in text.TrimStart('\uFEFF').Split('\n', '\r'))
        {
            if (Section().IsMatch(raw))
            {
                // An ini file: the rest is settings of a section, and npm has none.
                break;
            }

            var line = raw.Trim();
            if (line.Length == 0 || line[0] is ';' or '#')
            {
                continue;
            }

            var equals = line.IndexOf('=', StringComparison.Ordinal);
            var key = Unquote(equals < 0 ? line : line[..equals].TrimEnd());
            var value = equals < 0 ? "true" : Unquote(line[(equals + 1)..].TrimStart());
            key = key.EndsWith("[]", StringComparison.Ordinal) ? key[..^2] : key;
            settings.Add(KeyValuePair.Create(Expand(key, environment), Expand(value, environment)));
        }

        return settings;
    }

    /// <summary>
    /// Puts the environment's values in, as npm does: an unknown name stays as it is written, with a <c>?</c> it is empty. An odd number of backslashes
    /// before it keeps it as it is written; half of them stay.
    /// </summary>
    internal static string Expand(string text, Func<string, string?> environment) => Variable().Replace(text, match =>
    {
        var (escapes, name) = (match.Groups["escapes"].Length, match.Groups["name"].Value);
        return escapes % 2 != 0
            ? match.Value[((escapes + 1) / 2)..]
            : match.Value[..(escapes / 2)] + (environment(name) ?? (match.Groups["optional"].Success ? "" : $"${{{name}}}"));
    });

    private static string Unquote(string text)
    {
        if (text.Length >= 2 && text[0] == '"' && text[^1] == '"')
        {
            try
            {
                // A double-quoted value is JSON, with its escapes.
                return JsonNode.Parse(text)!.GetValue<string>();
            }
            catch (JsonException)
            {
                return text[1..^1];
            }
        }

        if (text.Length >= 2 && text[0] == '\'' && text.LastIndexOf('\'') is var single and > 0)
        {
            return text[1..single];
        }

        return WithoutComment(text);
    }

    /// <summary>An unquoted value ends at <c>;</c> or <c>#</c>, unless a backslash stands before it.</summary>
    private static string WithoutComment(string text)
    {
        var value = new StringBuilder(text.Length);
        for (var i = 0; i < text.Length && text[i] is not (';' or '#'); i++)
        {
            var isEscape = text[i] == '\\' && i + 1 < text.Length && text[i + 1] is '\\' or ';' or '#';
            value.Append(isEscape ? text[++i] : text[i]);
        }

        return value.ToString().Trim();
    }

    // A section begins in the first column; with a blank before it, it is a key.
    [GeneratedRegex(@"^\[[^\]]*\]\s*$", RegexOptions.CultureInvariant)]
    private static partial Regex Section();

    [GeneratedRegex(@"(?<!\\)(?<escapes>\\*)\$\{(?<name>[^${}?]+)(?<optional>\?)?\}", RegexOptions.CultureInvariant)]
    private static partial Regex Variable();
}
