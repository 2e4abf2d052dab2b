using System.Globalization;
using System.Security.Cryptography;
using NpmMirror.Maintenance;
using NpmMirror.Notes;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Copying;

/// <summary>All that a store holds, as lines: two equal stores have equal lines, whatever their engines.</summary>
internal static class StoreDump
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    internal static async Task<List<string>> OfAsync(IMetadataStore store)
    {
        var lines = new List<string> { (await store.CountAsync(Token)).ToString(), (await store.Log.ReadHeadAsync(Token)).ToString() };
        foreach (var isRemoved in (bool[])[false, true])
        {
            await foreach (var row in store.Packages.ListAsync(null, isRemoved, Token))
            {
                var package = (await store.Packages.ReadAsync(row.Name, Token))!;
                lines.Add($"package {row with { Index = default }} {Convert.ToHexString(SHA256.HashData(row.Index.Span))} {await DigestAsync(row.Name, package.Document)}");
                await foreach (var access in store.Tarballs.ListAccessAsync(row.Name, null, Token))
                {
                    lines.Add($"access {access}");
                }
            }

            await foreach (var mark in store.Packages.ListMarksAsync("", isRemoved, Token))
            {
                lines.Add($"mark {mark}");
            }
        }

        await foreach (var row in store.Log.ReadLogAsync(LogPosition.Zero, Token))
        {
            lines.Add($"log {row with { Payload = null }} {(row.Payload is { } payload ? Convert.ToHexString(payload.Span) : "purged")}");
            foreach (var sha256 in ArchivedReferences.Of(row))
            {
                lines.Add($"past {sha256} {await DigestAsync(row.Package, (await store.Packages.ReadArchivedAsync(row.Package, sha256, Token))!)}");
            }
        }

        await foreach (var row in store.Packages.ListChangesAsync(LogPosition.Zero, false, Token))
        {
            lines.Add($"change {row.Name} {row.LastPosition}");
        }

        lines.AddRange(await store.Queue.ListQueuedAsync(Token).Select(item => $"queued {item}").ToListAsync(Token));
        lines.AddRange(await store.Tarballs.ListTarballsAsync(null, Token).Select(row => $"tarball {row}").ToListAsync(Token));
        await foreach (var mark in store.Kept.ListKeptAsync("", Token))
        {
            lines.Add($"kept {mark.Path} {Convert.ToHexString((await store.Kept.FindKeptAsync(mark.Path, Token))!.Value.Span)}");
        }

        await foreach (var mark in store.Notes.ListNotesAsync("", Token))
        {
            if (mark.Key is not (MirrorCursors.Copy or MirrorCursors.Leader or MirrorCursors.Nodes or VerifyMarks.Cursor))
            {
                lines.Add($"note {mark.Key} {await store.Notes.FindNoteAsync(mark.Key, Token)}");
            }
        }

        return lines;
    }

    private static async Task<string> DigestAsync(PackageName name, StoredDocument document)
    {
        if (document.Codec == DocumentCodec.Purged)
        {
            return string.Create(CultureInfo.InvariantCulture, $"purged {document.RawSizeBytes}");
        }

        await using var raw = DocumentCodecs.OpenDecoded(name, document);
        return Convert.ToHexString(await SHA256.HashDataAsync(raw, Token));
    }
}
