namespace NpmMirror.Page.Packages;

/// <summary>Remembers readmes as HTML by the document that they are in.</summary>
internal sealed class ReadmeCache
{
    private const int RememberedMin = 100;

    private readonly BoundedCache<Digest, Shown> _shown = new("readmes", RememberedMin);

    /// <summary>The readme as HTML; null if it cannot be shown as that.</summary>
    internal string? ToHtml(Digest document, string readme)
    {
        if (!_shown.TryGet(document, out var shown))
        {
            shown = new Shown(ReadmeText.ToHtml(readme));
            _shown.Set(document, shown);
        }

        return shown.Html;
    }

    private sealed record Shown(string? Html);
}
