using System.Text;

namespace NpmMirror.Tests.Packuments;

/// <summary>Two packuments with one version each whose manifests differ and have one hash under <see cref="Seed"/>: hashes of pieces are fast, and no proof.</summary>
internal static class CollidingPackuments
{
    /// <summary>One of the seeds, about one of 600, for which the two are a pair.</summary>
    internal const ulong Seed = 3174178694376612709;

    private const int FilledBytes = 1088;

    internal static byte[] First(string name) => Of(name, "aaaaaqqq", "qK5Heqqq");

    internal static byte[] Second(string name) => Of(name, "aaaaeqqq", "qK5Haqqq");

    private static byte[] Of(string name, string at80, string at208)
    {
        var manifest = new StringBuilder($$"""{"name":"{{name}}","version":"1.0.0","description":""").Append('"');
        manifest.Append('a', FilledBytes - manifest.Length);
        Put(80, at80);
        Put(208, at208);
        manifest.Append('"').Append(""","scripts":{},"dist":{"shasum":"aa","tarball":"http://127.0.0.1:9/a/-/a-1.0.0.tgz"}}""");
        return Encoding.UTF8.GetBytes($$$"""{"name":"{{{name}}}","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{{{manifest}}}}}""");

        void Put(int offset, string text) => manifest.Remove(offset, text.Length).Insert(offset, text);
    }
}
