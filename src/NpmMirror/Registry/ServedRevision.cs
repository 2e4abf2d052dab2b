using System.Globalization;
using NpmMirror.Storage;

namespace NpmMirror.Registry;

/// <summary>The revision under which this mirror offers a package to those who follow it.</summary>
public static class ServedRevision
{
    /// <summary>The upstream's <c>_rev</c>, else one of our own that changes with every document: <c>&lt;generation&gt;-&lt;32 hex of its SHA-256&gt;</c>.</summary>
    public static string Of(PackageRow row) =>
        row.Facts.Rev ?? string.Create(CultureInfo.InvariantCulture, $"{row.Generation}-{Convert.ToHexStringLower(row.DocumentSha256.Bytes[..16])}");
}
