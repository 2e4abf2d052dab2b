using System.Buffers;
using System.Diagnostics;
using System.Text.Json;
using NpmMirror.Packuments;

namespace NpmMirror.Tests.Packuments;

/// <summary>The invariants for any document of an upstream.</summary>
internal static class PackumentProperties
{
    private const string BaseUrl = "http://127.0.0.1:4873/npm";
    private static readonly TimeSpan TimeMax = TimeSpan.FromSeconds(2);

    /// <summary>Reads the document and does with it all that a mirror does. True when it was accepted; a broken promise is an exception.</summary>
    public static bool Hold(PackageName name, byte[] seed, byte[] document)
    {
        var started = Stopwatch.GetTimestamp();
        var isAccepted = Run(name, seed, document);
        if (Stopwatch.GetElapsedTime(started) > TimeMax)
        {
            // On a machine that others use too, the clock says little; the time on the processor does.
            var before = ProcessorTime.OfThread();
            Run(name, seed, document);
            Require(ProcessorTime.OfThread() - before < TimeMax, "an input takes less than 2 s");
        }

        return isAccepted;
    }

    private static bool Run(PackageName name, byte[] seed, byte[] document)
    {
        var isAccepted = TryRead(document, name, out var index);
        if (isAccepted)
        {
            var oldIndex = PackumentReader.Read(seed, name).Index;
            Survives(index);
            CanBeCompared(oldIndex, seed, index, document);
            CanBeServed(name, index, document);
        }

        return isAccepted;
    }

    private static bool TryRead(byte[] document, PackageName name, out PackumentIndex index)
    {
        try
        {
            index = Read(document, name);
            return true;
        }
        catch (MirrorException e) when (e.Fault == MirrorFault.UpstreamMalformed)
        {
            index = null!;
            return false;
        }
    }

    /// <summary>With one seed for all, so that their hashes compare.</summary>
    private static PackumentIndex Read(byte[] document, PackageName name) => PackumentReader.Read(document, name, hashSeed: 1).Index;

    private static void Survives(PackumentIndex index)
    {
        var stored = index.ToBytes();
        var again = PackumentIndex.FromBytes(stored);
        Require(again.ToBytes().AsSpan().SequenceEqual(stored), "the stored index is stable");
        Require(again.Versions.SequenceEqual(index.Versions), "the stored index has the same versions");
        Require(again.Name == index.Name && again.Rev == index.Rev && again.ModifiedAt == index.ModifiedAt && again.CreatedAt == index.CreatedAt, "the stored index has the same texts and dates");
        Require((again.RestHash, again.TimeHash, again.MaintainersHash) == (index.RestHash, index.TimeHash, index.MaintainersHash), "the stored index has the same hashes");
    }

    private static void CanBeCompared(PackumentIndex oldIndex, byte[] oldDocument, PackumentIndex newIndex, byte[] newDocument)
    {
        var forth = PackumentDiff.Compare(oldIndex, oldDocument, newIndex, newDocument);
        var back = PackumentDiff.Compare(newIndex, newDocument, oldIndex, oldDocument);
        Require(forth.IsEmpty == back.IsEmpty && forth.Changed.Count == back.Changed.Count && forth.Members.Count == back.Members.Count, "a difference is one both ways");
    }

    private static void CanBeServed(PackageName name, PackumentIndex index, byte[] document)
    {
        var full = Write(PackumentForm.Full, index, document, name);
        var again = Read(full, name);
        Require(PackumentDiff.Compare(index, document, again, full).IsEmpty, "the full form differs from upstream's in URLs only, exactly");

        var abbreviated = Read(Write(PackumentForm.Abbreviated, index, document, name), name);
        Require(abbreviated.Versions.Count == index.Versions.Count && abbreviated.DistTags.Count == index.DistTags.Count, "the abbreviated form has all versions and tags");

        for (var i = 0; i < Math.Min(3, index.Versions.Count); i++)
        {
            var version = index.Versions[i];
            using var check = new IntegrityCheck(Manifest.Promise(version, document));
            check.Append("bytes"u8);
            check.Finish();
            var output = new ArrayBufferWriter<byte>();
            PackumentWriter.WriteManifest(version, document, name, BaseUrl, output);
            JsonDocument.Parse(output.WrittenMemory, new JsonDocumentOptions { MaxDepth = 1_000 }).Dispose();
            _ = Manifest.TarballUrl(version, document);
            Require(TarballUrls.FindVersion(index, document, name, TarballUrls.FileName(name, version.Version)) is not null, "a version is found by its file");
        }
    }

    private static byte[] Write(PackumentForm form, PackumentIndex index, byte[] document, PackageName name, string baseUrl = BaseUrl)
    {
        var output = new ArrayBufferWriter<byte>(document.Length + 1024);
        PackumentWriter.Write(form, index, document, name, baseUrl, output);
        return output.WrittenSpan.ToArray();
    }

    private static void Require(bool holds, string claim)
    {
        if (!holds)
        {
            throw new InvalidOperationException($"It does not hold that {claim}.");
        }
    }
}
