using System.Globalization;
using System.Text.Json;
using NpmMirror.Storage;
using StackExchange.Redis;

namespace NpmMirror.Redis;

/// <summary>A package in the list of everything: for scripts its generation, whether it was removed and its raw size; for readers its revision and upstream.</summary>
internal static class ListedMark
{
    internal static string Write(PackageRow row) => string.Create(
        CultureInfo.InvariantCulture,
        $"{row.Generation} {(row.Facts.IsRemoved ? 1 : 0)} {row.RawSizeBytes} {JsonSerializer.Serialize([row.Facts.Rev!, row.Facts.Upstream!], StoredJson.Default.StringArray)}");

    /// <summary>Whether it says that the package is in the graveyard; null where there is none.</summary>
    internal static bool? IsRemoved(RedisValue mark) => ((string?)mark)?.Split(' ') is [_, var removed, ..] ? removed == "1" : null;

    internal static PackageMark Read(PackageName name, RedisValue mark)
    {
        try
        {
            return ((string?)mark)?.Split(' ', 4) is [_, _, _, var json] && JsonSerializer.Deserialize(json, StoredJson.Default.StringArray) is [var rev, var upstream]
                ? new PackageMark(name, rev, upstream)
                : new PackageMark(name, null, null);
        }
        catch (JsonException)
        {
            // A package without a revision is looked at.
            return new PackageMark(name, null, null);
        }
    }
}
