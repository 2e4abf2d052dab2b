using System.Security.Cryptography;
using MongoDB.Bson;
using NpmMirror.Log;
using NpmMirror.Storage;

namespace NpmMirror.MongoDB;

/// <summary>The log's end as numbering sees it. Readers see the shown one: everything up to it is in its place.</summary>
/// <param name="Round">How often the end moved.</param>
/// <param name="End">The last row that has its number.</param>
/// <param name="Shown">The last row that readers see.</param>
/// <param name="Unfinished">The packages whose rows lie between the two.</param>
internal sealed record NumberedHead(long Round, LogHead End, LogHead Shown, IReadOnlyList<NumberedPackage> Unfinished)
{
    internal const string Id = "log";

    internal static NumberedHead Empty { get; } = new(0, new LogHead(LogPosition.Zero, ChainHash.Genesis), new LogHead(LogPosition.Zero, ChainHash.Genesis), []);

    internal static NumberedHead Read(BsonDocument? stored) => stored is null
        ? Empty
        : new NumberedHead(stored.Number("round") ?? 0, ReadEnd(stored, "position", "hash"), ReadEnd(stored, "shownPosition", "shownHash"), [.. stored.Parts("unfinished").Select(NumberedPackage.Read).OfType<NumberedPackage>()]);

    internal BsonDocument Write() => new()
    {
        ["_id"] = Id,
        ["round"] = Round,
        ["position"] = End.Position.Value,
        ["hash"] = End.Hash.Hex,
        ["shownPosition"] = Shown.Position.Value,
        ["shownHash"] = Shown.Hash.Hex,
        ["unfinished"] = new BsonArray(Unfinished.Select(package => package.Write())),
    };

    private static LogHead ReadEnd(BsonDocument stored, string position, string hash) =>
        stored.Number(position) is > 0 and var number && Digest.TryFromHex(stored.Text(hash) ?? "", out var digest) && digest.Bytes.Length == SHA256.HashSizeInBytes
            ? new LogHead(new LogPosition(number), digest)
            : new LogHead(LogPosition.Zero, ChainHash.Genesis);
}

/// <summary>A package of which events were numbered.</summary>
/// <param name="Name">The package.</param>
/// <param name="Generation">That of its last numbered commit.</param>
/// <param name="Last">Its last position.</param>
internal sealed record NumberedPackage(PackageName Name, long Generation, long Last)
{
    internal static NumberedPackage? Read(BsonDocument stored) => PackageName.TryParse(stored.Text("name"), out var name)
        ? new NumberedPackage(name, stored.Number("generation") ?? 0, stored.Number("last") ?? 0)
        : null;

    internal BsonDocument Write() => new() { ["name"] = Name.Value, ["generation"] = Generation, ["last"] = Last };
}
