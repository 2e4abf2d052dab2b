namespace NpmMirror.Upstream;

/// <summary>A content coding that can be taken off a body.</summary>
internal enum BodyCoding
{
    /// <summary>RFC 1952, of one member or several.</summary>
    Gzip,

    /// <summary>RFC 7932.</summary>
    Brotli,

    /// <summary>RFC 1950, or RFC 1951 alone as old servers send it.</summary>
    Deflate,

    /// <summary>RFC 8878, with a window of 8 MB at most (RFC 9659).</summary>
    Zstandard,
}

/// <summary>The content codings that a body's header lists. Each is one decoder around the next, so their number has a bound.</summary>
/// <param name="Applied">In the order in which they were applied; empty if there is a <see cref="Problem"/>.</param>
/// <param name="Unknown">The first one that cannot be taken off; null if there is none.</param>
/// <param name="IsTooMany">Whether the header lists more than <see cref="CodingsMax"/>.</param>
internal sealed record BodyCodings(IReadOnlyList<BodyCoding> Applied, string? Unknown, bool IsTooMany)
{
    /// <summary>A body has one coding. A second comes from a cache in between; more are an attack.</summary>
    internal const int CodingsMax = 2;

    /// <summary>Why the body cannot be read, to follow "the answer"; null if it can.</summary>
    internal string? Problem => this switch
    {
        { IsTooMany: true } => $"has more than {CodingsMax} content codings",
        { Unknown: { } coding } => $"is encoded as {MirrorException.Quote(coding)}, which was not asked for",
        _ => null,
    };

    /// <summary>Reads the values of a message's <c>Content-Encoding</c>.</summary>
    internal static BodyCodings Parse(IEnumerable<string?> values)
    {
        var applied = new List<BodyCoding>(CodingsMax);
        foreach (var value in values)
        {
            foreach (var range in value.AsSpan().Split(','))
            {
                var name = value.AsSpan(range).Trim();
                if (name.IsEmpty || name.Equals("identity", StringComparison.OrdinalIgnoreCase))
                {
                    continue;
                }

                if (applied.Count == CodingsMax)
                {
                    return new BodyCodings([], null, IsTooMany: true);
                }

                if (Find(name) is not { } coding)
                {
                    return new BodyCodings([], name.ToString(), IsTooMany: false);
                }

                applied.Add(coding);
            }
        }

        return new BodyCodings(applied, null, IsTooMany: false);
    }

    /// <summary>Takes the codings off a body, which the result owns.</summary>
    internal Stream TakeOff(Stream body)
    {
        for (var i = Applied.Count - 1; i >= 0; i--)
        {
            body = new DecodedStream(body, Applied[i]);
        }

        return body;
    }

    private static BodyCoding? Find(ReadOnlySpan<char> name)
    {
        Span<char> lower = stackalloc char["x-deflate".Length];
        return name.ToLowerInvariant(lower) < 0 ? null : lower[..name.Length] switch
        {
            "gzip" or "x-gzip" => BodyCoding.Gzip,
            "br" => BodyCoding.Brotli,
            "zstd" => BodyCoding.Zstandard,
            "deflate" or "x-deflate" => BodyCoding.Deflate,
            _ => null,
        };
    }
}
