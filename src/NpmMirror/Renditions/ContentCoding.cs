namespace NpmMirror.Renditions;

/// <summary>How a rendition's bytes are coded on the wire.</summary>
internal enum ContentCoding
{
    /// <summary>Not at all.</summary>
    Identity = 0,

    /// <summary>One gzip member: some clients stop after the first.</summary>
    Gzip = 1,

    /// <summary>Brotli.</summary>
    Brotli = 2,

    /// <summary>Zstandard.</summary>
    Zstandard = 3,
}

/// <summary>Which coding a client gets.</summary>
internal static class ContentCodings
{
    /// <summary>The coding's name in <c>Content-Encoding</c>; null for <see cref="ContentCoding.Identity"/>.</summary>
    public static string? Token(ContentCoding coding) => coding switch
    {
        ContentCoding.Gzip => "gzip",
        ContentCoding.Brotli => "br",
        ContentCoding.Zstandard => "zstd",
        _ => null,
    };

    /// <summary>The best coding that the header allows: highest weight, and among equals Zstandard before Brotli before gzip before identity.</summary>
    /// <remarks>
    /// A client that refuses even identity gets identity, as RFC 9110 §12.5.3 advises. <c>*</c> alone means gzip:
    /// every client that says so can read it.
    /// </remarks>
    public static ContentCoding Negotiate(ReadOnlySpan<char> acceptEncoding)
    {
        var any = WeightedValues.Find(acceptEncoding, "*");
        var identity = WeightedValues.Find(acceptEncoding, "identity");
        var brotli = WeightedValues.Find(acceptEncoding, "br");
        var zstandard = WeightedValues.Find(acceptEncoding, "zstd");
        var gzip = WeightedValues.Find(acceptEncoding, "gzip") ?? WeightedValues.Find(acceptEncoding, "x-gzip");
        var gzipWeight = gzip ?? any ?? 0;
        var brotliWeight = brotli ?? 0;
        var zstandardWeight = zstandard ?? 0;
        // Identity counts against a coding only if the client weighed it itself: "gzip;q=0.5" alone still asks for gzip.
        var identityWeight = identity ?? 0;
        if (zstandardWeight > 0 && zstandardWeight >= brotliWeight && zstandardWeight >= gzipWeight && zstandardWeight >= identityWeight)
        {
            return ContentCoding.Zstandard;
        }

        if (brotliWeight > 0 && brotliWeight >= gzipWeight && brotliWeight >= identityWeight)
        {
            return ContentCoding.Brotli;
        }

        return gzipWeight > 0 && gzipWeight >= identityWeight ? ContentCoding.Gzip : ContentCoding.Identity;
    }
}
