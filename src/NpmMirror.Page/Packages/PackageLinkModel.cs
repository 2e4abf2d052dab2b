namespace NpmMirror.Page.Packages;

/// <summary>A link to a package's page.</summary>
internal sealed record PackageLinkModel(string Up, string Name)
{
    internal string Href => PackagePaths.Of(Up, Name);
}

/// <summary>The addresses of packages on the page.</summary>
internal static class PackagePaths
{
    /// <summary>That of a package.</summary>
    internal static string Of(string up, string name) => $"{up}package/{string.Join('/', name.Split('/').Select(Uri.EscapeDataString))}";

    /// <summary>That of a version.</summary>
    internal static string Of(string up, string name, string version) => $"{Of(up, name)}/v/{Uri.EscapeDataString(version)}";
}
