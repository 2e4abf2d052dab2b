using System.Globalization;
using NpmMirror.Log;
using StackExchange.Redis;

namespace NpmMirror.Redis;

/// <summary>The log's end as numbering sees it: its last rows may not be noted at all of their packages.</summary>
/// <param name="Position">The last row.</param>
/// <param name="Hash">Its hash.</param>
/// <param name="Unfinished">The packages that are to be told.</param>
internal sealed record NumberedHead(LogPosition Position, Digest Hash, IReadOnlyList<NumberedPackage> Unfinished)
{
    internal static readonly RedisValue[] Fields = ["position", "hash", "unfinished"];

    internal static NumberedHead Read(RedisValue[] fields) => fields[0].TryParse(out long position) && position > 0 && Digest.TryFromHex((string?)fields[1] ?? "", out var hash)
        ? new NumberedHead(new LogPosition(position), hash, [.. ((string?)fields[2] ?? "").Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(NumberedPackage.Read)])
        : new NumberedHead(LogPosition.Zero, ChainHash.Genesis, []);

    internal string WriteUnfinished() => string.Join('\n', Unfinished);
}

/// <summary>A package of which events were numbered.</summary>
/// <param name="Name">The package.</param>
/// <param name="Generation">That of its last numbered event.</param>
/// <param name="Ordinal">That of its last numbered event.</param>
/// <param name="First">Its first position among them.</param>
/// <param name="Last">Its last one.</param>
internal readonly record struct NumberedPackage(PackageName Name, long Generation, int Ordinal, long First, long Last)
{
    internal static NumberedPackage Read(string text)
    {
        var parts = text.Split(' ');
        return new NumberedPackage(PackageName.Parse(parts[0]), Number(parts[1]), (int)Number(parts[2]), Number(parts[3]), Number(parts[4]));
    }

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Name} {Generation} {Ordinal} {First} {Last}");

    private static long Number(string text) => long.Parse(text, NumberStyles.None, CultureInfo.InvariantCulture);
}
