using System.Text.RegularExpressions;
using Ganss.Xss;
using Markdig;
using Markdig.Renderers;
using Markdig.Syntax;
using Markdig.Syntax.Inlines;

namespace NpmMirror.Page.Packages;

/// <summary>
/// A readme, which is a stranger's, as HTML that does nothing: HTML in it counts as text, pictures are their descriptions, links lead to http and https addresses alone. What comes
/// out goes through a sanitizer as a second lock.
/// </summary>
internal static partial class ReadmeText
{
    /// <summary>The most characters of a readme that are shown.</summary>
    internal const int CharsMax = 100_000;

    // Brackets and emphasis cost the reader of Markdown up to the square of their number in one paragraph.
    private const int ParagraphMaxChars = 10_000;

    private static readonly MarkdownPipeline Pipeline = new MarkdownPipelineBuilder().UsePipeTables().UseAutoLinks().Build();

    private static readonly HtmlSanitizer Sanitizer = Create();

    private static readonly Lock Turn = new();

    /// <summary>The readme as HTML; null if it cannot be shown as that, and is shown as text.</summary>
    internal static string? ToHtml(string readme)
    {
        var text = Cut(readme);
        if (text.Split("\n\n").Any(paragraph => paragraph.Length > ParagraphMaxChars))
        {
            return null;
        }

        // One at a time: a readme that takes long takes one processor.
        lock (Turn)
        {
            try
            {
                var document = Markdown.Parse(text, Pipeline);
                Tame(document);
                using var writer = new StringWriter();
                var renderer = new HtmlRenderer(writer);
                Pipeline.Setup(renderer);
                renderer.Render(document);
                return Sanitizer.Sanitize(writer.ToString());
            }
            catch (ArgumentException)
            {
                // Nested deeper than Markdig takes.
                return null;
            }
        }
    }

    /// <summary>The readme without its end, if it is too long.</summary>
    internal static string Cut(string readme) => readme.Length <= CharsMax ? readme : readme[..CharsMax] + "\n\n…";

    private static void Tame(MarkdownDocument document)
    {
        foreach (var html in document.Descendants<HtmlBlock>().ToList())
        {
            var paragraph = new ParagraphBlock { Inline = new ContainerInline().AppendChild(new LiteralInline(Tags().Replace(html.Lines.ToString(), " ").Trim())) };
            html.Parent![html.Parent.IndexOf(html)] = paragraph;
        }

        foreach (var heading in document.Descendants<HeadingBlock>())
        {
            // The page has its own headings above.
            heading.Level = Math.Min(6, heading.Level + 2);
        }

        foreach (var html in document.Descendants<HtmlInline>().ToList())
        {
            html.Remove();
        }

        foreach (var link in document.Descendants<LinkInline>().ToList())
        {
            if (link.IsImage)
            {
                var words = string.Concat(link.Descendants<LiteralInline>().Select(literal => literal.Content.ToString()));
                link.ReplaceBy(new LiteralInline(words.Length > 0 ? $"[picture: {words}]" : "[picture]"), copyChildren: false);
            }
        }
    }

    private static HtmlSanitizer Create()
    {
        var sanitizer = new HtmlSanitizer(new HtmlSanitizerOptions
        {
            AllowedTags = new HashSet<string>(StringComparer.OrdinalIgnoreCase)
            {
                "a", "blockquote", "br", "code", "em", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
            },
            AllowedAttributes = new HashSet<string>(StringComparer.OrdinalIgnoreCase) { "href" },
            AllowedSchemes = new HashSet<string>(StringComparer.OrdinalIgnoreCase) { "http", "https" },
            UriAttributes = new HashSet<string>(StringComparer.OrdinalIgnoreCase) { "href" },
        });
        sanitizer.FilterUrl += (_, url) =>
        {
            // A relative address would be one of this mirror.
            if (!Uri.TryCreate(url.OriginalUrl, UriKind.Absolute, out var address) || (address.Scheme != Uri.UriSchemeHttp && address.Scheme != Uri.UriSchemeHttps))
            {
                url.SanitizedUrl = null;
            }
        };
        sanitizer.PostProcessNode += (_, args) =>
        {
            if (args.Node is AngleSharp.Html.Dom.IHtmlAnchorElement anchor)
            {
                anchor.SetAttribute("rel", "nofollow noopener noreferrer");
            }
        };
        return sanitizer;
    }

    [GeneratedRegex("<[^>]*>?", RegexOptions.NonBacktracking)]
    private static partial Regex Tags();
}
