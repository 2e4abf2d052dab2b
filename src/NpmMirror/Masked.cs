using System.Text.RegularExpressions;

namespace NpmMirror;

/// <summary>Settings without their secrets, for people and logs.</summary>
internal static partial class Masked
{
    /// <summary>The text in the place of a secret.</summary>
    public const string Secret = "***";

    /// <summary>The text with the user part of every address in it hidden.</summary>
    public static string Address(string text) => UserPart().Replace(text, $"//{Secret}@");

    /// <summary>Whether a free setting of this name is likely to be a secret.</summary>
    public static bool IsSecretName(string name) => SecretName().IsMatch(name);

    [GeneratedRegex("//[^/?#\\s]*@", RegexOptions.CultureInvariant)]
    private static partial Regex UserPart();

    [GeneratedRegex("pass|secret|token|auth|credential|private|connection|apikey|accesskey", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex SecretName();
}
