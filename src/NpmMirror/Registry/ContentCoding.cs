namespace NpmMirror.Registry;

/// <summary>How a rendition's bytes are coded on the wire.</summary>
public enum ContentCoding
{
    /// <summary>Not at all.</summary>
    Identity = 0,

    /// <summary>One gzip member: some clients stop after the first.</summary>
    Gzip = 1,

    /// <summary>Brotli.</summary>
    Brotli = 2,

    /// <summary>Zstandard, where the system has libzstd.</summary>
    Zstandard = 3,
}

/// <summary>Which coding a client gets.</summary>
public static class ContentCodings
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
    /// A client that refuses even identity gets identity all the same, as RFC 9110 §12.5.3 advises. <c>*</c> alone means gzip:
    /// every client that says so can read it.
    /// </remarks>
    public static ContentCoding Negotiate(ReadOnlySpan<char> acceptEncoding)
    {
        int? zstandard = null, brotli = null, gzip = null, any = null, identity = null;
        foreach (var range in acceptEncoding.Split(','))
        {
            var part = acceptEncoding[range].Trim();
            var end = part.IndexOf(';');
            var token = (end < 0 ? part : part[..end]).Trim();
            var weight = end < 0 ? 1000 : WeightOf(part[(end + 1)..]);
            if (token.Equals("zstd", StringComparison.OrdinalIgnoreCase))
            {
                zstandard = weight;
            }
            else if (token.Equals("br", StringComparison.OrdinalIgnoreCase))
            {
                brotli = weight;
            }
            else if (token.Equals("gzip", StringComparison.OrdinalIgnoreCase) || token.Equals("x-gzip", StringComparison.OrdinalIgnoreCase))
            {
                gzip = weight;
            }
            else if (token.Equals("identity", StringComparison.OrdinalIgnoreCase))
            {
                identity = weight;
            }
            else if (token is "*")
            {
                any = weight;
            }
        }

        var gzipWeight = gzip ?? any ?? 0;
        var brotliWeight = brotli ?? 0;
        var zstandardWeight = ZstandardStream.IsAvailable ? zstandard ?? 0 : 0;
        // Identity counts against a coding only where the client weighed it itself: "gzip;q=0.5" alone still asks for gzip.
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

    /// <summary>The weight in thousandths; text that is no weight counts as none given.</summary>
    private static int WeightOf(ReadOnlySpan<char> parameters)
    {
        foreach (var range in parameters.Split(';'))
        {
            var parameter = parameters[range].Trim();
            if (parameter.StartsWith("q=", StringComparison.OrdinalIgnoreCase)
                && double.TryParse(parameter[2..].Trim(), System.Globalization.NumberStyles.AllowDecimalPoint, System.Globalization.CultureInfo.InvariantCulture, out var weight))
            {
                return (int)(Math.Clamp(weight, 0, 1) * 1000);
            }
        }

        return 1000;
    }
}
