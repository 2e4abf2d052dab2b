using System.Globalization;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;

namespace NpmMirror.AspNetCore.Packages;

/// <summary>Which bytes of a tarball an answer holds.</summary>
/// <param name="Status">200 for all, 206 for a part, 416 for a part that is not there.</param>
/// <param name="From">The first byte.</param>
/// <param name="End">The position after the last byte; null for a whole tarball of unknown length.</param>
/// <param name="Whole">The tarball's length; null while it is not known.</param>
internal readonly record struct TarballRange(int Status, long From, long? End, long? Whole)
{
    /// <summary>
    /// Reads the client's range. Several ranges, a malformed one, or one under a condition that does not hold count as no range,
    /// and so does any while the length is not known: the whole is always a right answer.
    /// </summary>
    internal static TarballRange Choose(HttpRequest request, HttpResponse response, long? length)
    {
        var all = new TarballRange(StatusCodes.Status200OK, 0, length, length);
        if (request.Headers.Range.Count != 1
            || length is not { } whole
            || !RangeHeaderValue.TryParse(request.Headers.Range.ToString(), out var asked)
            || !asked.Unit.Equals("bytes", StringComparison.OrdinalIgnoreCase)
            || asked.Ranges.Count != 1
            || !IsStillMeant(request, response))
        {
            return all;
        }

        var range = asked.Ranges.First();
        // "-5" is the last five bytes.
        var from = range.From ?? Math.Max(0, whole - range.To!.Value);
        var end = range.From is null || range.To is null || range.To >= whole ? whole : range.To.Value + 1;
        return from < whole
            ? new TarballRange(StatusCodes.Status206PartialContent, from, end, whole)
            : new TarballRange(StatusCodes.Status416RangeNotSatisfiable, 0, 0, whole);
    }

    /// <summary>Writes status and lengths.</summary>
    internal void Announce(HttpResponse response)
    {
        response.StatusCode = Status;
        if (Status != StatusCodes.Status200OK)
        {
            var part = Status == StatusCodes.Status206PartialContent ? string.Create(CultureInfo.InvariantCulture, $"{From}-{End - 1}") : "*";
            response.Headers.ContentRange = string.Create(CultureInfo.InvariantCulture, $"bytes {part}/{Whole}");
        }

        response.ContentLength = End - From;
    }

    // A part of another file must not be joined to the client's part.
    private static bool IsStillMeant(HttpRequest request, HttpResponse response)
    {
        var condition = request.Headers.IfRange;
        if (condition.Count == 0)
        {
            return true;
        }

        return RangeConditionHeaderValue.TryParse(condition.ToString(), out var parsed)
            && (parsed.EntityTag is { } tag
                ? EntityTagHeaderValue.TryParse(response.Headers.ETag.ToString(), out var own) && tag.Compare(own, useStrongComparison: true)
                : HeaderUtilities.TryParseDate(response.Headers.LastModified.ToString(), out var modified) && parsed.LastModified == modified);
    }
}
